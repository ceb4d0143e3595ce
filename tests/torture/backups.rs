//! Base backups that take the place of the server, minutes after they were made.

use std::time::{Duration, Instant};
use tests::Cluster;

/// The base backup of this moment, and when the next thing happens.
pub(crate) struct Backups {
    backup: Option<Cluster>,
    next: Instant,
    /// Between two of them, and from a backup to its restore.
    pauses: [Duration; 2],
}

impl Backups {
    /// Plans four of them in this time, each minutes old at the most.
    pub(crate) fn begin(time: Duration) -> Self {
        let pause = time / 9;
        let pauses = [pause, pause.min(Duration::from_secs(240))];
        Self { backup: None, next: Instant::now() + pauses[0], pauses }
    }

    /// Whether a backup waits for its turn, so that the stream has to keep what was stored since.
    pub(crate) fn has_one(&self) -> bool {
        self.backup.is_some()
    }

    /// Makes a backup or returns the one that is to be restored, if its time has come.
    pub(crate) fn turn(&mut self, cluster: &Cluster) -> Option<Cluster> {
        if Instant::now() < self.next {
            return None;
        }
        let restored = self.backup.take();
        if restored.is_none() {
            self.backup = Some(cluster.base_backup());
        }
        self.next = Instant::now() + self.pauses[usize::from(restored.is_none())];
        restored
    }
}
