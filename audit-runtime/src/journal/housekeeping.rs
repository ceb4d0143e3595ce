//! The thread that makes segments ahead of the callers and syncs what they wrote.
//!
//! Both are blocking system calls: on the writer's thread they would hold up batches in flight.

use super::Journal;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The housekeeping thread of one journal.
#[derive(Debug)]
pub(crate) struct Housekeeper(JoinHandle<()>);

impl Housekeeper {
    /// Starts the thread; it ends once the journal is closed.
    pub(crate) fn start(journal: &Arc<Journal>, sync_every: Duration) -> io::Result<Self> {
        let journal = journal.clone();
        let kept = journal.clone();
        let thread =
            std::thread::Builder::new().name("audit-journal".into()).spawn(move || run(&journal, sync_every))?;
        let _ = kept.housekeeper.set(thread.thread().clone());
        Ok(Self(thread))
    }

    /// Waits for the thread to end, which it does soon after the journal was closed.
    pub(crate) fn join(self) {
        let _ = self.0.join();
    }
}

fn run(journal: &Journal, sync_every: Duration) {
    let mut sync_failed = false;
    while !journal.is_closed() {
        // A failure is not final: the next round tries again, and callers are told meanwhile.
        let _ = journal.grow();
        match journal.sync() {
            Ok(()) => sync_failed = false,
            Err(error) if !sync_failed => {
                sync_failed = true;
                tracing::error!(journal = %journal.id(), %error, "the journal cannot be synced to disk");
            }
            Err(_) => {}
        }
        std::thread::park_timeout(sync_every);
    }
    let _ = journal.sync();
}
