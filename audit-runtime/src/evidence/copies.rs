//! Events as another system has them, checked against the seals of the trail.

use super::examine::{Check, CoveringCheckpoint, Loaded, load};
use super::key::PublicKey;
use super::keyring::{Keyring, Rotations};
use super::row::EventRow;
use super::tree::{Tree, extend};
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use crate::seal::Entry;
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

/// An event as another system has it.
#[derive(Debug, Clone, Copy)]
pub struct EventCopy<'a> {
    /// The event as JSON, in the form of `audit-trail export`.
    pub event: &'a str,
    /// The batch that seals it.
    pub batch_id: Uuid,
    /// Its digest as hexadecimal, if the copy states it.
    pub leaf: Option<&'a str>,
    /// Whether the event was sent with its data and context, so that its digest is computed. The caller
    /// knows that, and never the copy, which may be changed.
    pub is_whole: bool,
}

/// The result of a check of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyCheck {
    /// The copy is what was sealed, and the checkpoint covers it.
    Proven,
    /// The copy states the digest that was sealed, and has no data and no context to compute it from. Its
    /// further fields are not proven.
    Stated,
    /// The copy is what was sealed, and no checkpoint covers it: the reason is in the text.
    NotCovered(String),
    /// The copy is not what was sealed, for the reason in the text.
    Altered(String),
}

/// Checks copies of events, one after another. Those of one batch should come together.
#[derive(Debug)]
pub struct EventCopies {
    pool: PgPool,
    tree: Tree,
    keyring: Option<Keyring>,
    checkpoint: Option<CoveringCheckpoint>,
    last: Option<(Uuid, Option<Loaded>)>,
}

impl EventCopies {
    /// Prepares a check by these keys, and by a checkpoint that was kept elsewhere, if there is one.
    pub(crate) async fn new(
        pool: &PgPool,
        keys: &[PublicKey],
        note: Option<&str>,
    ) -> Result<Self, super::error::Failure> {
        let mut connection = pool.acquire().await?;
        let mut tree = Tree::new();
        extend(&mut connection, &mut tree).await?;
        let keyring = match keys {
            [] => None,
            keys => Some(Rotations::read(&mut connection).await?.keyring(keys)),
        };
        let checkpoint = match note {
            None => None,
            Some(note) => {
                let head = match &keyring {
                    Some(keyring) => keyring.open(note)?,
                    None => super::head::SignedHead::read(note)?,
                };
                let time = head.time.as_deref().and_then(|time| time.parse().ok()).unwrap_or(Timestamp::INFINITY);
                Some(CoveringCheckpoint { id: 0, batches: head.size, time, note: note.to_owned() })
            }
        };
        Ok(Self { pool: pool.clone(), tree, keyring, checkpoint, last: None })
    }

    /// Checks a copy.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it. A changed copy is not an error.
    pub async fn check(&mut self, copy: &EventCopy<'_>) -> Result<CopyCheck, DatabaseError> {
        self.judge(copy).await.map_err(DatabaseError::of)
    }

    async fn judge(&mut self, copy: &EventCopy<'_>) -> Result<CopyCheck, sqlx::Error> {
        if self.last.as_ref().is_none_or(|(id, _)| *id != copy.batch_id) {
            let mut connection: sqlx::pool::PoolConnection<sqlx::Postgres> = self.pool.acquire().await?;
            let loaded = self.load(&mut connection, copy.batch_id).await?;
            self.last = Some((copy.batch_id, loaded));
        }
        let Some((_, Some(batch))) = &self.last else {
            return Ok(CopyCheck::Altered(format!("the trail has no sealed batch {}", copy.batch_id)));
        };
        Ok(judge(batch, copy))
    }

    async fn load(&self, connection: &mut PgConnection, batch_id: Uuid) -> Result<Option<Loaded>, sqlx::Error> {
        load(connection, batch_id, &self.tree, self.keyring.as_ref(), self.checkpoint.as_ref()).await
    }
}

fn judge(batch: &Loaded, copy: &EventCopy<'_>) -> CopyCheck {
    let Ok(row) = serde_json::from_str::<EventRow>(copy.event) else {
        return CopyCheck::Altered("it lacks a field, or has one of another form".into());
    };
    let sealed = Entry::all(batch.leaves()).find(|entry| entry.id == row.id());
    let Some(sealed) = sealed else {
        return CopyCheck::Altered("the batch was sealed without it".into());
    };
    if copy.leaf.is_some_and(|leaf| !leaf.eq_ignore_ascii_case(&hex::encode(sealed.digest))) {
        return CopyCheck::Altered("the digest that it states is not the one that was sealed".into());
    }
    if !copy.is_whole {
        return match batch.failure() {
            Some(why) => CopyCheck::Altered(why),
            None if copy.leaf.is_none() => CopyCheck::Altered("it states no digest".into()),
            None if !row.is_bare() => {
                CopyCheck::Altered("it has data or a context, and was to be sent without them".into())
            }
            None => CopyCheck::Stated,
        };
    }
    let examined = batch.examine(row.id(), copy.event, false);
    match examined.failure() {
        Some(why) => CopyCheck::Altered(why.replace("the row", "the copy")),
        None if examined.is_proven() => CopyCheck::Proven,
        None => match examined.tree {
            Check::Waiting(why) => CopyCheck::NotCovered(why.into()),
            _ => CopyCheck::Altered("its proof does not hold".into()),
        },
    }
}
