//! The end of a trail.

use super::Recorder;
use super::last_resort::Taken;
use crate::sys::deadline;
use std::time::Duration;

impl Recorder {
    /// Ends recording, and waits until the writer has ended, which it does by the time that is
    /// given. Then the last resort takes what is left, if there is one.
    pub(crate) async fn shut_down(&self, timeout: Duration, has_writer: bool) {
        let deadline = deadline(timeout);
        self.record_lost_events(Duration::ZERO);
        self.record_outstanding();
        self.journal.close();
        self.control.stop(deadline);
        if has_writer {
            let mut progress = self.control.subscribe();
            self.control.end_at(deadline);
            // The writer keeps to the deadline itself, unless something blocks its thread.
            let _ = progress.wait_for(|progress| progress.ended).await;
            self.hand_on().await;
        }
    }

    /// Has the last resort take what is left, the first time, and returns what it took then.
    async fn hand_on(&self) -> Taken {
        let Some(last_resort) = self.last_resort.get() else { return Taken::default() };
        *self.taken.get_or_init(|| last_resort.take()).await
    }

    /// Returns what the last resort has taken, if there is one.
    pub(crate) fn taken(&self) -> Taken {
        self.taken.get().copied().unwrap_or_default()
    }
}
