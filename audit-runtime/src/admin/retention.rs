//! Administration of retention: prunes, legal holds, and archives that come back.

use super::handle::Admin;
use super::progress::Progress;
use crate::postgres::{DatabaseError, Internal};
use crate::retention::{
    AddedHold, Hold, HoldError, HoldStatus, Prune, PruneError, PruneReport, ReimportError, ReimportReport, add_hold,
    lift_hold, list_holds, reimport,
};
use std::path::Path;
use uuid::Uuid;

#[cfg_attr(docsrs, doc(cfg(feature = "evidence")))]
impl Admin {
    /// Removes the events that were kept for long enough, and reports each step.
    ///
    /// Without a filter, whole months go. Events of [holds](Self::add_hold) stay. Other sessions may
    /// write meanwhile. If a prune is interrupted, the next one cleans up after it. Events
    /// `audit.pruned` name the [`actor`](Self::actor).
    ///
    /// # Errors
    /// The trail differs from its seals, the archive cannot be written, or a hold was added meanwhile. A
    /// [feed](crate::feed) has not sent all rows that would go.
    /// The database cannot be reached, or refuses the role, which has to own the tables. Rows that
    /// were pruned until then stay so, and their events report it.
    pub async fn prune(
        &self,
        prune: &Prune,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<PruneReport, PruneError> {
        let pruned = prune.run(&self.pool, self.actor.as_deref(), |step| progress(Progress::Step(step))).await;
        pruned.map_err(Internal::into_public)
    }

    /// Adds a legal hold: from now on, nobody prunes its events or forgets personal data in them.
    ///
    /// Events that are recorded later are held, too. An event `audit.held` states the hold, the reason
    /// and the [`actor`](Self::actor). If a hold with the same conditions is in force, nothing is added.
    ///
    /// ```no_run
    /// # use audit_runtime::admin::{Admin, Hold, HoldError};
    /// # async fn hold(admin: Admin) -> Result<(), HoldError> {
    /// let hold = Hold::new().entity("customer", 42);
    /// let added = admin.actor("legal").add_hold(&hold, "case 2026-17").await?;
    /// println!("{} is held by {}", hold, added.id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The hold has no condition, or an empty one. The reason is empty. The database cannot be
    /// reached, its schema is older than version 9, or the role does not own the tables.
    pub async fn add_hold(&self, hold: &Hold, reason: &str) -> Result<AddedHold, HoldError> {
        add_hold(&self.pool, hold, reason, self.actor.as_deref()).await.map_err(Internal::into_public)
    }

    /// Returns the holds in force, oldest first, and those that were lifted if `with_lifted` is set.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it.
    pub async fn holds(&self, with_lifted: bool) -> Result<Vec<HoldStatus>, DatabaseError> {
        list_holds(&self.pool, with_lifted).await.map_err(DatabaseError::of)
    }

    /// Lifts a hold. An event `audit.released` states the reason and the [`actor`](Self::actor).
    ///
    /// # Errors
    /// The hold does not exist, or was lifted before. The reason is empty. The database cannot be
    /// reached, or the role does not own the tables.
    pub async fn lift_hold(&self, id: Uuid, reason: &str) -> Result<(), HoldError> {
        lift_hold(&self.pool, id, reason, self.actor.as_deref()).await.map_err(Internal::into_public)
    }

    /// Imports the rows of an archive that a prune removed, and reports each line that is refused.
    ///
    /// Each row must have the digest under which its batch was sealed, and a prune must have removed
    /// it. Rows that are there are left. Events `audit.reimported` state the archive and the
    /// [`actor`](Self::actor). A dry run changes nothing. The next prune removes the rows again, unless
    /// a hold keeps them.
    ///
    /// # Errors
    /// The archive cannot be read. The database cannot be reached, or the role does not own the
    /// tables. Rows that were imported until then stay, and their events report it.
    pub async fn reimport(
        &self,
        archive: impl AsRef<Path>,
        dry_run: bool,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<ReimportReport, ReimportError> {
        let tell = |step: &str| progress(Progress::Step(step));
        let done = reimport(&self.pool, archive.as_ref(), self.actor.as_deref(), dry_run, tell).await;
        done.map_err(Internal::into_public)
    }
}
