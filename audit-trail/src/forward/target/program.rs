//! A shell command, which is run for each portion of events, and gets them on its standard input.
//!
//! Its exit status 0 takes them. Status 65 (`EX_DATAERR` of `sysexits.h`) refuses an event, and every
//! other one asks for the same events again. A command that fails, that takes too long, or that runs when the
//! feed ends, is killed with all that it started.

use super::{SendError, lines};
use crate::forward::form::Form;
use crate::forward::message::Message;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// `EX_DATAERR`
const REFUSED: i32 = 65;
/// The part of what a command prints to its standard error that an error quotes.
const QUOTED: u64 = 300;

#[derive(Debug)]
pub(super) struct ProgramTarget {
    command: String,
    limit: Duration,
}

impl ProgramTarget {
    pub(super) fn new(command: &str, limit: Duration) -> Self {
        Self { command: command.to_owned(), limit }
    }

    pub(super) async fn send(&self, name: &str, form: Form, messages: &[Message]) -> Result<(), SendError> {
        let lines = lines(form, messages);
        match timeout(self.limit, self.run(name, messages.len(), &lines)).await {
            Ok(sent) => sent,
            Err(_) => Err(SendError::away(format!("the command did not end within {} s", self.limit.as_secs()))),
        }
    }

    async fn run(&self, name: &str, events: usize, lines: &[u8]) -> Result<(), SendError> {
        let mut shell = Command::new("sh");
        // All that the shell starts is killed with it.
        #[cfg(unix)]
        shell.process_group(0);
        let mut child = shell
            .arg("-c")
            .arg(&self.command)
            .env("AUDIT_FEED", name)
            .env("AUDIT_EVENTS", events.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(SendError::away)?;
        let group = Group::of(&child);
        let (input, errors) = (child.stdin.take(), child.stderr.take());
        let write = async {
            if let Some(mut input) = input {
                // A command that does not read to the end shows by its status whether that is an error.
                let _ = input.write_all(lines).await;
            }
        };
        let read = async {
            let mut text = Vec::new();
            if let Some(mut errors) = errors {
                let _ = (&mut errors).take(QUOTED).read_to_end(&mut text).await;
                // The rest is not kept, and must not fill the pipe.
                let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
            }
            String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let (status, text, ()) = tokio::join!(child.wait(), read, write);
        let status = status.map_err(SendError::away)?;
        let why = || if text.is_empty() { status.to_string() } else { format!("{status}: {text}") };
        match status.code() {
            Some(0) => {
                group.leave();
                Ok(())
            }
            Some(REFUSED) => Err(SendError::Refused(why(), None)),
            _ => Err(SendError::away(why())),
        }
    }
}

/// The shell and all that it started, which are killed when this is dropped.
struct Group(Option<u32>);

impl Group {
    fn of(shell: &Child) -> Self {
        Self(shell.id())
    }

    /// Lets go on what a command that succeeded has left behind.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            kill(id);
        }
    }
}

#[cfg(unix)]
fn kill(group: u32) {
    if let Some(group) = rustix::process::Pid::from_raw(group.cast_signed()) {
        // None of them may be left.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Other systems have no such groups. The shell alone is killed, when it is dropped.
#[cfg(not(unix))]
fn kill(_: u32) {}
