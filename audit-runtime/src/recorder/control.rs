//! Signals between callers and the writer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How long after its deadline a shutdown is ended whatever the writer does.
const GRACE: Duration = Duration::from_millis(50);

/// How far the writer has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything before this logical position of the journal is in PostgreSQL.
    pub(crate) stored_to: u64,
    /// Everything between these positions is in PostgreSQL too, though a backlog before them is not.
    pub(crate) ahead: [u64; 2],
    /// Events of this journal in PostgreSQL. Some may lie behind `stored_to`.
    pub(crate) stored: u64,
    /// Everything before this logical position was sent to a broker, or is stored.
    pub(crate) sent_to: u64,
    /// The writer has ended.
    pub(crate) ended: bool,
}

impl Progress {
    /// Returns whether PostgreSQL has everything that ends between two positions.
    pub(crate) fn has(&self, after: u64, position: u64) -> bool {
        let [begin, end] = self.ahead;
        self.stored_to >= position || (begin <= after && position <= end)
    }
}

/// Requests to the writer, and its answers.
#[derive(Debug, Default)]
pub(crate) struct Control {
    progress: watch::Sender<Progress>,
    /// Batches that were sent behind one that was not: first position to end.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "nothing is sent without a writer"))]
    sent: Mutex<BTreeMap<u64, u64>>,
    stop: watch::Sender<Option<Instant>>,
    wake: Notify,
}

impl Control {
    pub(crate) fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// Notes that a broker has taken a batch.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "nothing is sent without a writer"))]
    pub(crate) fn sent(&self, first: u64, end: u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.insert(first, end);
        self.update(|progress| {
            let mut sent_to = progress.sent_to.max(progress.stored_to);
            while let Some((first, end)) = sent.pop_first() {
                if first > sent_to {
                    sent.insert(first, end);
                    break;
                }
                sent_to = sent_to.max(end);
            }
            progress.sent_to = sent_to;
        });
    }

    /// Asks the writer to look at the journal now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Asks the writer to end once the journal is empty, at the latest at the deadline. The first
    /// request holds.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            if first {
                *stop = Some(deadline);
            }
            first
        });
    }

    /// Ends every wait for the writer a moment after the deadline, even if its thread is blocked. A
    /// function that supplies credentials may block it, and so may a file system that hangs.
    pub(crate) fn end_at(self: &Arc<Self>, deadline: Instant) {
        let control = self.clone();
        let watching = move || {
            let mut progress = control.subscribe();
            let at_the_latest = async {
                let _ = progress.wait_for(|progress| progress.ended).await;
            };
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
                return;
            };
            let late =
                runtime.block_on(async { tokio::time::timeout_at((deadline + GRACE).into(), at_the_latest).await });
            if late.is_err() {
                control.update(|progress| progress.ended = true);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("audit-shutdown".into()).spawn(watching) {
            tracing::warn!(%error, "the shutdown of the audit trail cannot be watched; it may take longer than it was given");
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Is ready once a stop was requested, and returns its deadline.
    pub(crate) async fn stopping(&self) -> Instant {
        let mut stop = self.stop.subscribe();
        // The sender lives in `self`: there is always a value to wait for.
        match stop.wait_for(Option::is_some).await {
            Ok(deadline) => deadline.unwrap_or_else(Instant::now),
            Err(_) => Instant::now(),
        }
    }
}
