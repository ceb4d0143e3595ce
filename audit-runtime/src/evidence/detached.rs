//! The sealed trail in parts, for the command's lake: rows as they are hashed, read from the database or
//! made again of columns, and what proves them without the database.

use super::checkpoint;
use super::head::SignedHead;
use super::key::{KeyError, PublicKey};
use super::keyring::Rotations;
use super::path::{Path, TreeParts, range};
use super::proof::{BatchRow, Proof, StampPart};
use super::proof_error::{ProofError, bytes};
use super::row::EventRow;
use super::stamp::{self, TimeStamp};
use super::verify::refused_entries;
use crate::event::{Timestamp, bounded, ids, named};
use crate::postgres::copy::{self, Row, decode};
use crate::seal::merkle::{self, Hash};
use crate::seal::{self, Sealed, Sealer};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

pub use super::unbatched::{COLUMNS, JOURNAL};
pub use super::verify::OfflineTree;
#[cfg(feature = "timestamp")]
pub use super::verify::Stamps;
pub use checkpoint::BATCH;

/// A row's id, its digest, and the form that a batch with it has at least.
pub type RowEntry = (Uuid, [u8; 32], i16);

/// Hands each row of a query to `each`, as binary COPY writes it behind the number of its fields.
///
/// # Errors
/// The query fails, or `each` does.
pub async fn rows<E: From<sqlx::Error>>(
    connection: &mut PgConnection,
    query: &str,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    decode::rows(connection, query, |row| each(row.0)).await
}

/// Returns the fields of a row, with `None` for NULL, up to the first that is not whole.
pub fn fields(row: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut fields = Row(row).fields();
    std::iter::from_fn(move || fields.next().ok())
}

/// Appends a field to a row.
pub fn push_field(row: &mut Vec<u8>, field: Option<&[u8]>) {
    copy::push_field(row, field);
}

/// Returns PostgreSQL's number of a time: microseconds since 2000, and the extremes for the infinities.
#[must_use]
pub fn postgres_micros(time: Timestamp) -> i64 {
    time.postgres()
}

/// Returns the time that PostgreSQL's number stands for.
#[must_use]
pub fn of_postgres_micros(micros: i64) -> Timestamp {
    Timestamp::from_postgres(micros)
}

/// Returns the id of an entity whose key an older version stored in the data of an event alone.
#[must_use]
pub fn named_id(entity_type: &str, key: &str) -> Uuid {
    named(entity_type, &bounded(key))
}

/// Returns the first microsecond since 1970 of the millisecond that an id of the library's states.
#[must_use]
pub fn began_at(id: Uuid) -> Option<i64> {
    ids::first_micros(id)
}

/// Computes the entries of rows, and keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct Digests(Sealer);

impl Digests {
    /// Returns the entry of a row whose first fields are [`COLUMNS`].
    pub fn row(&mut self, row: &[u8]) -> RowEntry {
        entry(self.0.stored(row))
    }

    /// Returns the entries under which a record that PostgreSQL refused may have been sealed.
    pub fn refused(&mut self, payload: &[u8]) -> [RowEntry; 2] {
        refused_entries(&mut self.0, payload).map(entry)
    }
}

fn entry(sealed: Sealed) -> RowEntry {
    (sealed.entry.id, sealed.entry.digest, sealed.form.0)
}

/// Returns whether a batch of this form may contain a row of that form.
#[must_use]
pub fn allows(batch: i16, row: i16) -> bool {
    seal::LeafForm(batch).allows(seal::LeafForm(row))
}

/// Returns a batch's leaf in the tree, from its row: the fields of [`BATCH`].
#[must_use]
pub fn batch_leaf(row: &[u8]) -> [u8; 32] {
    checkpoint::batch_leaf(Row(row)).0
}

/// Returns the root of a batch, where `previous` is that of the batch before, if any, and `leaves`
/// has 48 bytes for each row: its id and its digest.
#[must_use]
pub fn batch_root(journal_id: Uuid, previous: Option<&[u8]>, leaves: &[u8]) -> [u8; 32] {
    seal::root(journal_id, previous, leaves).0
}

/// A tree that grows at its end, by the roots of its full parts.
#[derive(Debug, Clone, Default)]
pub struct Frontier(merkle::Frontier);

impl Frontier {
    /// Reads the roots of the full parts, the largest first. It returns `None` if there are not as many
    /// as the size demands.
    #[must_use]
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        merkle::Frontier::from_bytes(size, bytes).map(Self)
    }

    /// Returns the roots of the full parts.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: [u8; 32]) {
        self.0.push(Hash(leaf));
    }

    /// Returns the number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Returns the root.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.0.root().0
    }
}

/// The content of a checkpoint, whichever key signed it.
#[derive(Debug, Clone)]
pub struct CheckpointHead {
    /// The name of the log.
    pub name: String,
    /// The number of batches that it covers.
    pub size: u64,
    /// The root of their tree.
    pub root: [u8; 32],
    /// The number of checkpoints before it.
    pub number: Option<u64>,
    /// When it was made.
    pub time: Option<Timestamp>,
}

/// Reads a checkpoint, without verifying who signed it.
///
/// # Errors
/// The text is not a checkpoint.
pub fn read_checkpoint(note: &str) -> Result<CheckpointHead, KeyError> {
    let head = SignedHead::read(note)?;
    let time = head.time.as_deref().and_then(|time| time.parse().ok());
    Ok(CheckpointHead { name: head.name, size: head.size, root: head.root.0, number: head.number, time })
}

/// Reads a statement that a key signed, or one to which exchanges in the database lead from it, and that
/// was in force at a checkpoint.
///
/// # Errors
/// The query fails. The inner error says why no such key signed it.
pub async fn signed_statement(
    connection: &mut PgConnection,
    key: &PublicKey,
    note: &str,
    checkpoint: &str,
) -> Result<Result<String, KeyError>, sqlx::Error> {
    let keyring = Rotations::read(connection).await?.keyring(std::slice::from_ref(key));
    Ok(SignedHead::read(checkpoint).and_then(|head| keyring.statement(note, &head)))
}

/// Returns whether the schema has time stamps.
///
/// # Errors
/// The query fails.
pub async fn has_time_stamps(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    stamp::are_known(connection).await
}

/// The time stamp of a checkpoint, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredStamp<'a> {
    /// The note of the checkpoint.
    pub note: &'a str,
    /// The URL of the authority.
    pub authority: &'a str,
    /// The token.
    pub token: &'a [u8],
}

/// Makes a proof of parts that are outside of the database.
pub struct ProofParts {
    event: EventRow,
    batch: BatchRow,
    batch_path: Path,
    number: u64,
    head: SignedHead,
    checkpoint: String,
    rotations: Vec<String>,
    /// The time stamp, and the checkpoint that it is of, if that is a later one.
    stamp: Option<(TimeStamp, Option<SignedHead>)>,
}

impl ProofParts {
    /// Begins with a row and its batch as `row_to_json` writes them, the batch's leaves, its number in
    /// the tree, the checkpoint that covers it, and the notes of all checkpoints.
    ///
    /// # Errors
    /// The row is not one of the batch, or a text is not what it has to be.
    pub fn new<'a>(
        (event, batch): (&str, &str),
        leaves: &[u8],
        number: u64,
        checkpoint: &str,
        notes: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ProofError> {
        let malformed = |error: serde_json::Error| ProofError::Malformed(error.to_string());
        let event: EventRow = serde_json::from_str(event).map_err(malformed)?;
        let batch: BatchRow = serde_json::from_str(batch).map_err(malformed)?;
        let head = SignedHead::read(checkpoint)?;
        let wrong = || ProofError::Inconsistent(event.id());
        let place = batch.place(&event, leaves).ok_or_else(wrong)?;
        let previous = batch.previous_root.as_deref().map(bytes).transpose()?;
        let tree = seal::tree(batch.journal_id, previous.as_deref(), leaves);
        let batch_path = Path::in_tree(&tree, place as u64 + 1).map_err(|_| wrong())?;
        let mut rotations = Rotations::default();
        notes.into_iter().for_each(|note| rotations.add(note));
        let rotations = rotations.notes(&head.name).map(str::to_owned).collect();
        let checkpoint = checkpoint.to_owned();
        Ok(Self { event, batch, batch_path, number, head, checkpoint, rotations, stamp: None })
    }

    /// Adds the time stamp of the first checkpoint that covers the batch and has one.
    ///
    /// # Errors
    /// Its note is not a checkpoint.
    pub fn stamped(mut self, stamp: StoredStamp<'_>) -> Result<Self, ProofError> {
        let is_later = stamp.note != self.checkpoint;
        let later = is_later.then(|| SignedHead::read(stamp.note)).transpose()?;
        let stamp = TimeStamp {
            checkpoint: 0,
            note: stamp.note.to_owned(),
            authority: stamp.authority.to_owned(),
            token: stamp.token.to_vec(),
        };
        self.stamp = Some((stamp, later));
        Ok(self)
    }

    /// The sizes of the trees whose paths the proof has.
    fn sizes(&self) -> impl Iterator<Item = u64> {
        let later = self.stamp.as_ref().and_then(|(_, later)| later.as_ref());
        [Some(self.head.size), later.map(|head| head.size)].into_iter().flatten()
    }

    /// Returns the parts of the tree whose roots the proof needs: the first leaf of each, and the one
    /// behind its last.
    ///
    /// # Errors
    /// The checkpoint does not cover the batch.
    pub fn needed(&self) -> Result<Vec<(u64, u64)>, ProofError> {
        Ok(self.asked()?.into_iter().map(range).collect())
    }

    fn asked(&self) -> Result<Vec<u64>, ProofError> {
        let parts = TreeParts::default();
        for size in self.sizes() {
            parts.path(self.number, size)?;
        }
        Ok(parts.asked())
    }

    /// Ends with the roots of the parts, in the order in which they were asked for.
    ///
    /// # Errors
    /// The checkpoint does not cover the batch.
    pub fn prove(self, roots: &[[u8; 32]]) -> Result<Proof, ProofError> {
        let known = self.asked()?.into_iter().zip(roots.iter().map(|root| Hash(*root))).collect();
        let parts = TreeParts::knowing(known);
        let path = |size: u64| parts.path(self.number, size);
        let tree_path = path(self.head.size)?;
        let stamp = match &self.stamp {
            Some((stamp, later)) => {
                Some(StampPart::new(stamp, later.as_ref().map(|head| path(head.size)).transpose()?))
            }
            None => None,
        };
        Ok(Proof::new(self.event, self.batch, self.batch_path, tree_path, (self.checkpoint, self.rotations), stamp))
    }
}
