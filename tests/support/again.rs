//! A test that runs itself once more, in a process of its own: to be killed, to exit, to be traced.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

const AGAIN: &str = "AUDIT_TEST_AGAIN";

/// This test program, to run the one test of this path (`module::name`) as a child.
pub fn again(test: &str) -> Command {
    again_under(None::<&OsStr>, &[], test)
}

/// The same, run by another program that is given these arguments first.
pub fn again_under(program: Option<impl AsRef<OsStr>>, arguments: &[&str], test: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = match program {
        Some(program) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
        None => Command::new(this),
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(AGAIN, test);
    command
}

/// Starts a child, and waits until it prints a line that ends with "ready". Returns its further lines,
/// too.
///
/// # Panics
/// It does not start, or ends before.
pub fn ready(command: &mut Command) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().ends_with("ready")).unwrap().unwrap();
    (child, lines)
}

/// Whether this process is such a child.
pub fn is_again(test: &str) -> bool {
    std::env::var(AGAIN).is_ok_and(|again| again == test)
}
