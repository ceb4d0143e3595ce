//! The thread that makes room ahead of the callers, ends segments, and syncs what the callers
//! wrote.
//!
//! Both are blocking system calls: on the writer's thread they would hold up batches in flight.

use super::Journal;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// Starts the housekeeping thread of a journal. It ends by itself soon after the journal was
/// closed.
pub(crate) fn start(journal: &Arc<Journal>, sync_every: Duration) -> io::Result<()> {
    let kept = journal.clone();
    let thread = thread::Builder::new().name("audit-journal".into()).spawn(move || run(&kept, sync_every))?;
    let _ = journal.housekeeper.set(thread.thread().clone());
    Ok(())
}

fn run(journal: &Journal, sync_every: Duration) {
    while !journal.is_closed() {
        // A failure is not final: the next round tries again, and calls return the error meanwhile.
        let _ = journal.grow();
        journal.end_if_wanted();
        let synced = journal.sync();
        let has_failed_before = journal.sync_failing.swap(synced.is_err(), Ordering::Relaxed);
        if let Err(error) = synced
            && !has_failed_before
        {
            tracing::error!(journal = %journal.id(), %error, "the journal cannot be synced to disk");
        }
        if !journal.is_sync_wanted() {
            thread::park_timeout(sync_every);
        }
    }
    let _ = journal.sync();
    journal.end_syncs();
}
