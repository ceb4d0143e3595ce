//! Administration of personal data: subjects to be forgotten.

use super::handle::Admin;
use crate::postgres::DatabaseError;
use crate::privacy::{ForgetReport, forget};

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
    /// The database cannot be reached, or the role may not forget.
    pub async fn forget(&self, subject: &str) -> Result<Option<ForgetReport>, DatabaseError> {
        forget(&self.pool, subject, self.actor.as_deref()).await.map_err(DatabaseError::of)
    }
}
