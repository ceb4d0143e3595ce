//! A trail in use: the last of its handles ends it.

use super::Recorder;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the writer may go on after the last handle was dropped without a shutdown.
const AFTER_DROP: Duration = Duration::from_secs(5);

/// A handle, shared by its clones and by the scopes in which it is in force.
pub(crate) struct Handle {
    pub(crate) recorder: Arc<Recorder>,
    /// A probe has none.
    pub(crate) has_writer: bool,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recorder = &self.recorder;
        f.debug_struct("Audit").field("journal", &recorder.journal.id()).field("stats", &recorder.stats()).finish()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The threads are not waited for: a handle may be dropped on a runtime's thread.
        self.recorder.record_lost_events(Duration::ZERO);
        self.recorder.record_outstanding();
        self.recorder.journal.close();
        self.recorder.control.stop(Instant::now() + AFTER_DROP);
    }
}
