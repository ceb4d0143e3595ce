//! A shell command that prints a secret, with a limit of time.

use super::bytes::read;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How often the command is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Its output may be on its way for so long after its end.
const LINGER: Duration = Duration::from_secs(1);
/// The most characters of its standard error that are shown.
const SHOWN: usize = 2_000;

/// Runs a command, and returns what it printed to its standard output.
///
/// # Errors
/// The command cannot be started, fails, or does not end in time. The reason contains the end of what
/// it printed to its standard error.
pub(super) fn output(command: &str, patience: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // All that the shell starts is killed with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut child = shell.spawn().map_err(|error| error.to_string())?;
    let printed = reader(child.stdout.take());
    let said = reader(child.stderr.take());
    let ended = ended(&mut child, patience).map_err(|error| error.to_string())?;
    let said = || {
        let said = said.recv_timeout(LINGER).ok().and_then(Result::ok).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let cut = said.char_indices().rev().nth(SHOWN).map_or(0, |(at, _)| at);
        match said[cut..].trim() {
            "" => String::new(),
            said => format!(": {said}"),
        }
    };
    match ended {
        None => Err(format!("it took longer than {} s, and was killed{}", patience.as_secs_f64(), said())),
        Some(status) if !status.success() => Err(format!("{status}{}", said())),
        // A program that it left behind may hold its output open.
        Some(_) => match printed.recv_timeout(LINGER) {
            Ok(printed) => printed.map_err(|error| error.to_string()),
            Err(_) => Err("it ended, and its output was not closed".into()),
        },
    }
}

/// Reads a stream on a thread of its own.
fn reader(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<io::Result<Zeroizing<Vec<u8>>>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    if let Some(mut stream) = stream {
        thread::spawn(move || {
            let bytes = read(&mut stream);
            // A command that prints more than a key must not wait for a reader. Its output counts as too long.
            let _ = io::copy(&mut stream, &mut io::sink());
            let _ = sender.send(bytes);
        });
    }
    receiver
}

/// Waits until the command has ended, or kills it.
fn ended(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() >= patience {
            kill(child)?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

#[cfg(unix)]
fn kill(child: &mut Child) -> io::Result<()> {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    match group {
        Some(group) => Ok(rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?),
        None => child.kill(),
    }
}

#[cfg(not(unix))]
fn kill(child: &mut Child) -> io::Result<()> {
    child.kill()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_killed_with_what_it_started() {
        let begin = Instant::now();
        // The shell waits for a child of its own, which holds both streams.
        let error = output("echo waiting for a login >&2; sleep 600; true", Duration::from_millis(200)).unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(60), "{error}");
        assert!(error.contains("0.2 s, and was killed") && error.contains("waiting for a login"), "{error}");
    }

    #[test]
    fn much_output_stops_no_command() {
        let printed = output("head -c 300000 /dev/zero", Duration::from_secs(60)).unwrap();
        assert_eq!(printed.len(), super::super::bytes::MOST + 1);
        let error = output("head -c 300000 /dev/zero >&2; exit 4", Duration::from_secs(60)).unwrap_err();
        assert!(error.contains("exit status: 4"));
    }
}
