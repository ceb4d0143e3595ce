//! Administration of personal data: subjects to be forgotten.

use super::handle::Admin;
use super::progress::Progress;
use crate::postgres::DatabaseError;
use crate::privacy::{
    ForgetReport, MasterKey, MasterKeyCheck, MasterKeyRotation, check_master_key, forget, rotate_master_key,
};

#[cfg_attr(docsrs, doc(cfg(feature = "personal")))]
impl Admin {
    /// Destroys the key of a subject, if it has one, which erases the subject's personal data.
    ///
    /// Values of `personal(..)` recorded of the subject can no longer be decrypted and read
    /// `"[erased]"`. The rows stay, and verify. An event `audit.forgotten` names the
    /// [`actor`](Self::actor) and the key. The subject's name is removed too.
    ///
    /// Events recorded of the subject afterwards use a new key. So do earlier events that still
    /// wait in a journal.
    ///
    /// The role owns the tables, or is an [`Eraser`](super::Role::Eraser).
    ///
    /// # Errors
    /// A [hold](Self::add_hold) is about the subject, or keeps an event with a value of the subject.
    /// The database cannot be reached, or the role may not forget.
    pub async fn forget(&self, subject: &str) -> Result<Option<ForgetReport>, DatabaseError> {
        forget(&self.pool, subject, self.actor.as_deref()).await.map_err(DatabaseError::of)
    }

    /// Wraps the keys of all subjects by a master key that an older one beside it has wrapped.
    ///
    /// Services and readers need both keys meanwhile: see
    /// [`MasterKey::with_older`](crate::MasterKey::with_older). No row of the trail changes. It may be
    /// interrupted, run again, and run by several processes at once. Keys that none of the master keys
    /// unwraps stay as they are.
    ///
    /// The role owns the tables.
    ///
    /// # Errors
    /// The database cannot be reached, its schema is older than version 8, or the role does not own the
    /// tables. Keys that were wrapped anew until then stay so.
    pub async fn rotate_master_key(
        &self,
        key: &MasterKey,
        mut progress: impl FnMut(Progress<'_>) + Send,
    ) -> Result<MasterKeyRotation, DatabaseError> {
        let mut tell = |step: &str| progress(Progress::Step(step));
        rotate_master_key(&self.pool, key, &mut tell).await.map_err(DatabaseError::of)
    }

    /// Counts the keys of subjects that a master key unwraps, and names the subjects whose values
    /// cannot be read by it.
    ///
    /// It reads all keys. A [`Reader`](super::Role::Reader) may do that. Only the owner of the tables
    /// may read whose they are.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it.
    pub async fn check_master_key(&self, key: &MasterKey) -> Result<MasterKeyCheck, DatabaseError> {
        check_master_key(&self.pool, key).await.map_err(DatabaseError::of)
    }
}
