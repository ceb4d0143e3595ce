//! The other journals under the same directory: together with them this one is bounded, too.

use super::directory::{self, Directory};
use super::live::Journal;
use super::parent_directory::Parent;
use crate::sys::platform;
use std::sync::atomic::Ordering;
use uuid::Uuid;

impl Journal {
    /// Counts the bytes of the other journals. A file that is removed meanwhile takes none.
    pub(crate) fn count_others(&self) {
        let Some(parent) = &self.parent else { return };
        self.crowd.bytes.store(bytes(parent, self.id), Ordering::Relaxed);
    }

    /// Bytes by which this journal may still grow: its own limit leaves them, and the other
    /// journals.
    pub(super) fn allowance(&self) -> u64 {
        let own = self.bytes();
        let allowed = self.limits.limit_bytes.saturating_sub(own);
        let Some(parent) = &self.parent else { return allowed };
        let others = self.crowd.bytes.load(Ordering::Relaxed);
        let left = parent.limit_bytes.saturating_sub(others).saturating_sub(own);
        if left >= self.limits.grain() {
            self.crowd.told.store(false, Ordering::Relaxed);
        } else if !self.crowd.told.swap(true, Ordering::Relaxed) {
            tracing::error!(
                directory = %parent.path.display(), others, limit = parent.limit_bytes,
                "other journals leave no room for this one: ship those of dead processes with audit-trail journal ship, \
                 or raise Builder::directory_limit"
            );
        }
        allowed.min(left)
    }
}

fn bytes(parent: &Parent, own: Uuid) -> u64 {
    let others = Directory::all(&parent.path).unwrap_or_default();
    let files = others.iter().filter(|path| directory::id_of(path) != Some(own)).flat_map(std::fs::read_dir).flatten();
    files.flatten().filter_map(|file| file.metadata().ok()).map(|file| platform::disk_bytes(&file)).sum()
}
