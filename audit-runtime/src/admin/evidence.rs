//! Administration of evidence: checkpoints, verification, proofs, prunes.

use super::handle::Admin;
use super::progress::Progress;
use crate::evidence::checkpoint::make;
use crate::evidence::coverage::coverage;
use crate::evidence::error::Failure;
use crate::evidence::examine::examine;
use crate::evidence::head::SignedHead;
use crate::evidence::proof::{prove, prove_archived};
use crate::evidence::proof_error;
use crate::evidence::restored::restore;
use crate::evidence::rotation::{key_in_force, rotate};
use crate::evidence::stamp;
use crate::evidence::tree::extend;
use crate::evidence::unbatched::{Lookback, seal};
use crate::evidence::{
    Checkpoint, Coverage, EventCopies, EvidenceError, Examination, KeyError, Proof, ProofError, PublicKey, Report,
    Restoration, SigningKey, Tree, Verification,
};
use crate::postgres::DatabaseError;
use crate::record::TrailEvent;
use uuid::Uuid;

#[cfg_attr(docsrs, doc(cfg(feature = "evidence")))]
impl Admin {
    /// Makes a signed checkpoint of all rows that are stored.
    ///
    /// It first seals the rows that came without a batch and adds the new batches to the tree. It
    /// then signs the tree's root and stores the checkpoint in `audit_checkpoints`. If several
    /// processes make checkpoints, they take turns.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it. Or another key signed the last
    /// checkpoint, or the checkpoint was changed later. Then nothing is signed.
    pub async fn checkpoint(&self, key: &SigningKey) -> Result<Checkpoint, EvidenceError> {
        self.checkpoint_behind(key, &[]).await
    }

    /// Makes a checkpoint like [`checkpoint`](Self::checkpoint), unless the database lacks one of these
    /// notes, which were saved elsewhere.
    ///
    /// A database that lacks a checkpoint went back in time. A further checkpoint under the same name
    /// would contradict the one that is missing.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint), or the database lacks a note. Notes that this key did not
    /// sign are not considered.
    pub async fn checkpoint_behind(&self, key: &SigningKey, notes: &[String]) -> Result<Checkpoint, EvidenceError> {
        let made = async {
            let known: Vec<SignedHead> = notes.iter().filter_map(|note| key.public().open(note).ok()).collect();
            let mut connection = self.pool.acquire().await?;
            make(&mut connection, key, Lookback::All, &known).await
        };
        made.await.map_err(Failure::into_public)
    }

    /// Returns whether the role may seal rows that came without a batch.
    ///
    /// # Errors
    /// The database cannot be reached, or lacks the tables.
    pub async fn may_seal(&self) -> Result<bool, DatabaseError> {
        let may = "SELECT has_table_privilege('audit_late', 'INSERT') AND has_table_privilege('audit_batches', 'INSERT') \
             AND NOT pg_is_in_recovery()";
        sqlx::query_scalar(may).fetch_one(&self.pool).await.map_err(DatabaseError::of)
    }

    /// Seals rows that came without a batch, as a checkpoint does first, and returns how many: all of
    /// them, or those of the last day.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it.
    pub async fn seal_rows(&self, all: bool) -> Result<u64, DatabaseError> {
        let sealed = async {
            let mut connection = self.pool.acquire().await?;
            seal(&mut connection, if all { Lookback::All } else { Lookback::Recent }).await
        };
        sealed.await.map_err(|failure| match failure.into_public() {
            EvidenceError::Database(error) => error,
            other => DatabaseError::of(sqlx::Error::Protocol(other.to_string())),
        })
    }

    /// Exchanges the key that signs the log, by a last checkpoint of the old one.
    ///
    /// The checkpoint states both public keys, and both keys sign it. From then on, the new key signs,
    /// and verifiers refuse later checkpoints of the old one. A verifier who has either public key
    /// accepts the checkpoints of both, each in its time. `notes` are checkpoints as for
    /// [`checkpoint_behind`](Self::checkpoint_behind).
    ///
    /// # Errors
    /// The keys have different names, the new one was in force before, or the old one is not the key of
    /// the last checkpoint. Or the database cannot be reached or does not allow it. Then nothing is
    /// signed.
    pub async fn rotate_key(
        &self,
        old: &SigningKey,
        new: &SigningKey,
        notes: &[String],
    ) -> Result<Checkpoint, EvidenceError> {
        let made = async {
            let known: Vec<SignedHead> = notes.iter().filter_map(|note| old.public().open(note).ok()).collect();
            let mut connection = self.pool.acquire().await?;
            rotate(&mut connection, old, new, &known).await
        };
        made.await.map_err(Failure::into_public)
    }

    /// Returns the key that signs the log today, for somebody who has this one: itself, or the one for
    /// which it was exchanged.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it. The inner error is that of the last
    /// checkpoint: another key signed it, or it was changed.
    pub async fn key_in_force(&self, key: &PublicKey) -> Result<Result<PublicKey, KeyError>, DatabaseError> {
        let found = async {
            let mut connection = self.pool.acquire().await?;
            key_in_force(&mut connection, key).await
        };
        found.await.map_err(DatabaseError::of)
    }

    /// Continues the log under the name of another key, after the database went back in time.
    ///
    /// `last` is the last checkpoint that was saved under the old name, and `old_key` verifies it. An
    /// event `audit.restored` names it, and the [`actor`](Self::actor). The first checkpoint under the
    /// new name covers that event, and states the old checkpoint, too.
    ///
    /// The role needs the grants of a [`Writer`](super::Role::Writer) and of a
    /// [`Checkpointer`](super::Role::Checkpointer), or owns the tables.
    ///
    /// # Errors
    /// Both keys have the same name, the note is not the last one of the log, or the database cannot be
    /// reached or does not allow it. Then nothing is recorded or signed.
    pub async fn restore(
        &self,
        key: &SigningKey,
        last: &str,
        old_key: Option<&PublicKey>,
    ) -> Result<Restoration, EvidenceError> {
        let restored = async {
            let mut connection = self.pool.acquire().await?;
            restore(&mut connection, key, last, old_key, self.actor.as_deref()).await
        };
        restored.await.map_err(Failure::into_public)
    }

    /// Stores a time stamp of a checkpoint: the URL of the authority, and its token.
    ///
    /// The token must have been verified, as [`TokenRequest::accept`](crate::evidence::TokenRequest)
    /// of the feature `timestamp` does. [`verify`](Self::verify) verifies it again.
    ///
    /// # Errors
    /// The schema is older than version 10, the checkpoint has a time stamp from this URL, or the
    /// database cannot be reached or does not allow it.
    pub async fn store_time_stamp(
        &self,
        checkpoint: &Checkpoint,
        authority: &str,
        token: &[u8],
    ) -> Result<(), EvidenceError> {
        let stored = async {
            let mut connection = self.pool.acquire().await?;
            stamp::store(&mut connection, checkpoint.id, authority, token).await
        };
        stored.await.map_err(Failure::into_public)
    }

    /// Verifies the trail.
    ///
    /// Findings are reported as they are found. The report at the end contains the counts.
    ///
    /// # Errors
    /// The database cannot be reached, or does not allow it. A changed trail is not an error, and
    /// the report counts the problems.
    pub async fn verify(
        &self,
        verification: &Verification,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Report, EvidenceError> {
        verification.run(&self.pool, |step| progress(step.into())).await.map_err(Failure::into_public)
    }

    /// Returns the batch that seals an event and the time of its checkpoint, or `None` if no batch
    /// seals the event yet.
    ///
    /// It only reports what the tables state. [`verify`](Self::verify) and
    /// [`prove`](Self::prove) check that.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it.
    pub async fn coverage(&self, event: &TrailEvent) -> Result<Option<Coverage>, DatabaseError> {
        coverage(&self.pool, event).await.map_err(DatabaseError::of)
    }

    /// Proves that an event is in the trail, by the first checkpoint that covers it.
    ///
    /// # Errors
    /// The event does not exist, no checkpoint covers it, or it differs from its seal.
    pub async fn prove(&self, event_id: Uuid) -> Result<Proof, ProofError> {
        prove(&self.pool, event_id).await.map_err(proof_error::Failure::into_public)
    }

    /// Adds the batches to a tree that the trail's tree has beyond them, and returns how many.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it.
    pub async fn extend_tree(&self, tree: &mut Tree) -> Result<u64, DatabaseError> {
        let extended = async {
            let mut connection = self.pool.acquire().await?;
            extend(&mut connection, tree).await
        };
        extended.await.map_err(DatabaseError::of)
    }

    /// Checks events as the database has them now against their seals and checkpoints.
    ///
    /// It reads each row again, and each batch of theirs once. The paths come from the tree, which
    /// the caller has [extended](Self::extend_tree). With a key, the checkpoints' signatures are
    /// verified. An examination finds no row that is missing: [`verify`](Self::verify) does.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it. A changed event is not an error, and
    /// its examination states the step that failed.
    pub async fn examine(
        &self,
        events: &[TrailEvent],
        tree: &Tree,
        key: Option<&PublicKey>,
    ) -> Result<Vec<Examination>, DatabaseError> {
        examine(&self.pool, events, tree, key).await.map_err(DatabaseError::of)
    }

    /// Prepares a check of events that another system has, by keys, and by a checkpoint that was kept
    /// elsewhere, if there is one.
    ///
    /// Without a checkpoint, the first one of the trail that covers an event is used. Without a key, its
    /// signature is not checked.
    ///
    /// # Errors
    /// The checkpoint is none of these keys, or the database cannot be reached or does not allow it.
    pub async fn event_copies(
        &self,
        keys: &[PublicKey],
        checkpoint: Option<&str>,
    ) -> Result<EventCopies, EvidenceError> {
        EventCopies::new(&self.pool, keys, checkpoint).await.map_err(Failure::into_public)
    }

    /// Proves that a pruned event was in the trail, by its line in the archive.
    ///
    /// # Errors
    /// The line does not belong to an archive, no checkpoint covers the event, or it differs from
    /// its seal.
    pub async fn prove_archived(&self, line: &str) -> Result<Proof, ProofError> {
        prove_archived(&self.pool, line).await.map_err(proof_error::Failure::into_public)
    }
}
