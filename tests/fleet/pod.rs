//! A pod: a service with a disk that goes with it.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use tests::Database;
use tests::examples::audit_trail;

/// A running service, whose journals lie in a directory of their own.
pub struct Pod {
    child: Child,
    stdout: std::io::Lines<BufReader<ChildStdout>>,
    disk: PathBuf,
}

/// A new master key, in this directory.
pub fn master_key(directory: &Path) -> PathBuf {
    let key = directory.join("master.key");
    assert!(Command::new(audit_trail()).arg("master-key").arg(&key).output().unwrap().status.success());
    key
}

impl Pod {
    /// Starts one on this disk, with a last resort, and a second for its shutdown.
    pub fn start(database: &Database, disk: &Path, key: &Path, to: &str, target: &str) -> Self {
        Self::start_with(database, disk, key, 1, [to, target])
    }

    /// The same, with other seconds.
    pub fn start_with(database: &Database, disk: &Path, key: &Path, seconds: u64, last_resort: [&str; 2]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pod-program"));
        command.arg(&database.url).arg(disk).arg(key).arg(seconds.to_string()).args(last_resort);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdout, disk: disk.to_owned() }
    }

    /// Has it record so many events.
    pub fn record(&mut self, events: u32) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{events}").unwrap();
        assert_eq!(self.stdout.next().unwrap().unwrap(), "recorded");
    }

    /// The journals on its disk.
    pub fn journals(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.disk).unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_dir()).collect()
    }

    /// Terminates it as Kubernetes does, and returns its last line and its exit status.
    pub fn terminate(mut self) -> (String, Option<i32>) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let line = self.stdout.next().unwrap().unwrap();
        (line, self.child.wait().unwrap().code())
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command, with temporary files in a directory of their own.
pub fn run(database: &Database, temporary: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(audit_trail());
    command.args(arguments).env("DATABASE_URL", &database.url).env("TMPDIR", temporary);
    command.env_remove("AUDIT_MASTER_KEY").output().unwrap()
}

/// Runs the command, which succeeds, and returns what it prints.
pub fn succeeds(database: &Database, temporary: &Path, arguments: &[&str]) -> String {
    let output = run(database, temporary, arguments);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0, "something is left of {arguments:?}");
    stdout
}

/// A copy of a journal's directory, with a lock that nobody holds.
pub fn copy(journal: &Path, to: &Path) {
    let to = to.join(journal.file_name().unwrap());
    std::fs::create_dir(&to).unwrap();
    for file in std::fs::read_dir(journal).unwrap().flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
