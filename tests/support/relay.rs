//! `audit-trail relay`, a process of its own.

use crate::examples::audit_trail;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A relay that listens on a Unix socket. It is killed when this is dropped.
#[derive(Debug)]
pub struct RelayProcess {
    directory: TempDir,
    database: String,
    program: PathBuf,
    /// The servers of NATS, in place of a socket.
    nats: Option<String>,
    child: Option<Child>,
}

impl RelayProcess {
    /// Starts a relay to a database, and waits until it listens.
    pub fn start(database: &str) -> Self {
        Self::start_program(audit_trail(), database)
    }

    /// Starts the relay of this program, and waits until it listens.
    pub fn start_program(program: PathBuf, database: &str) -> Self {
        Self::started(program, database, None)
    }

    /// Starts the relay of this program, which takes batches from NATS.
    pub fn start_nats(program: PathBuf, database: &str, nats: &str) -> Self {
        Self::started(program, database, Some(nats.to_owned()))
    }

    fn started(program: PathBuf, database: &str, nats: Option<String>) -> Self {
        let directory = tempfile::Builder::new().prefix("audit-relay-").tempdir().unwrap();
        let mut relay = Self { directory, database: database.into(), program, nats, child: None };
        relay.up();
        relay
    }

    /// Its process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("relay.sock")
    }

    /// The address of its socket.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Starts it again, and waits until it listens.
    ///
    /// # Panics
    /// It runs already, or does not start.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "the relay runs already");
        let mut child = Command::new(&self.program)
            .args(match &self.nats {
                Some(nats) => ["relay".into(), "--nats".into(), nats.clone()],
                None => ["relay".into(), "--listen".into(), self.address()],
            })
            .env("DATABASE_URL", &self.database)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        let listens = lines.by_ref().map_while(Result::ok).any(|line| {
            told.push_str(&line);
            line.contains("listens on") || line.contains("takes batches")
        });
        assert!(listens, "the relay does not start: {told}");
        // Somebody has to read what it reports.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Terminates it as a service manager does, and returns what it printed.
    ///
    /// # Panics
    /// It does not run, or fails.
    pub fn terminate(&mut self) -> String {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut printed = String::new();
        child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        assert!(child.wait().unwrap().success(), "{printed}");
        printed
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
