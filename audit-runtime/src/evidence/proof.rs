//! The proof that a row is in the trail, for a verifier without access to the database.
//!
//! ```text
//! event -> entry -> leaf     path to     the root of its batch
//! batch          -> leaf     path to     the root in a checkpoint, which is signed
//! ```

use super::checkpoint::{BATCH, batch_leaf};
use super::head::SignedHead;
use super::key::{KeyError, PublicKey};
use super::keyring::Rotations;
use super::row::{EventRow, time_field};
use super::unbatched;
use crate::event::{Timestamp, ids};
use crate::postgres::copy::push_field;
use crate::postgres::copy::{Row, decode};
use crate::postgres::{DatabaseError, Internal};
use crate::seal::merkle::{self, Frontier, Hash, leaf_hash};
use crate::seal::{self, Entry, LeafForm, Sealed, Sealer};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgPool};
use std::cell::RefCell;
use std::collections::HashMap;
use tlog_tiles::tlog::{self, HashReader, check_record, prove_record, split_stored_hash_index};
use uuid::Uuid;

/// A proof that an event is in the trail that a checkpoint covers.
///
/// It is JSON, and contains the event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proof {
    event: EventRow,
    batch: BatchRow,
    /// The event's leaf among those of its batch, the first of which is the link to the batch
    /// before.
    batch_path: Path,
    /// The batch's leaf among those of the tree.
    tree_path: Path,
    /// The signed note.
    checkpoint: String,
    /// The signed notes that exchange the log's key. Proofs of older programs have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rotations: Vec<String>,
}

/// Where a leaf is in a tree, and the hashes from there to the root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Path {
    number: u64,
    size: u64,
    /// Hexadecimal.
    hashes: Vec<String>,
}

/// The row of a batch, as PostgreSQL's `row_to_json` writes it, with hashes as `\x` and
/// hexadecimal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BatchRow {
    id: Uuid,
    pub(super) journal_id: Uuid,
    first_position: i64,
    end_position: i64,
    rows: i32,
    origin: String,
    created_at: String,
    first_event_at: Option<String>,
    last_event_at: Option<String>,
    previous_position: Option<i64>,
    pub(super) previous_root: Option<String>,
    open_positions: Option<String>,
    pub(super) root: String,
    /// Proofs of older programs have none.
    #[serde(default = "first_form", skip_serializing_if = "is_first_form")]
    leaf_form: i16,
}

fn first_form() -> i16 {
    LeafForm::FIRST.0
}

fn is_first_form(form: &i16) -> bool {
    *form == LeafForm::FIRST.0
}

/// The facts that a proof establishes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Proven {
    /// The event.
    pub event_id: Uuid,
    /// The time of the checkpoint that covers the event, as the checkpoint states it.
    pub by: Option<Timestamp>,
    /// The name of the trail whose checkpoint it is.
    pub name: String,
}

/// The reason a proof is not valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The trail does not contain the event.
    #[error("event {0} not found")]
    NotFound(Uuid),
    /// The trail contains the event, and no checkpoint covers it.
    #[error("no checkpoint covers event {0} yet; make one: audit-trail checkpoint")]
    NotCovered(Uuid),
    /// The event in the database differs from the one that was sealed.
    #[error("event {0} is not what was sealed; audit-trail verify says more")]
    Inconsistent(Uuid),
    /// The text is not a proof.
    #[error("invalid proof: {0}")]
    Malformed(String),
    /// The checkpoint in it is not of this key.
    #[error("the proof proves nothing: {0}")]
    Key(#[from] KeyError),
    /// A hash does not lead where it should.
    #[error("the proof proves nothing: {0}")]
    Wrong(&'static str),
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The error that functions return that query the database.
pub(crate) type Failure = Internal<ProofError>;

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        Self::Own(error)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::Own(error.into())
    }
}

/// Proves that an event is in the trail, by the first checkpoint that covers it.
pub(crate) async fn prove(pool: &PgPool, id: Uuid) -> Result<Proof, Failure> {
    let mut connection = pool.acquire().await?;
    // With the batch that sealed it late, if it came without one.
    let query = format!(
        "SELECT row_to_json(s)::text, s.batch FROM (SELECT {}, coalesce(e.batch_id, l.batch_id) AS batch FROM audit_events e \
         LEFT JOIN audit_late l ON l.event_id = e.id AND l.created_at = e.created_at WHERE {}) s ORDER BY s.batch LIMIT 1",
        unbatched::COLUMNS,
        of_id(id)
    );
    let row = sqlx::query(AssertSqlSafe(query)).bind(id).fetch_optional(&mut *connection).await?;
    let row = row.ok_or(ProofError::NotFound(id))?;
    let event: EventRow = parse(row.try_get(0)?)?;
    let batch_id: Uuid = row.try_get::<Option<Uuid>, _>(1)?.ok_or(ProofError::NotCovered(id))?;
    prove_row(&mut connection, event, batch_id).await
}

/// Says that a row has an id, and of an id of the library's also when: there is an index by time,
/// and one by id for rows without a batch alone.
fn of_id(id: Uuid) -> String {
    let at = |micros: i64| format!("timestamptz '1970-01-01 00:00Z' + interval '1 us' * {micros}");
    let stated = ids::first_micros(id).map_or_else(String::new, |first| {
        format!(" OR e.created_at >= {} AND e.created_at < {}", at(first), at(first + 1_000))
    });
    // An id states no time before 1970, and none after 10889.
    format!(
        "e.id = $1 AND (e.batch_id IS NULL OR e.created_at < {} OR e.created_at >= {}{stated})",
        at(0),
        at(ids::END)
    )
}

/// Proves that an event which was pruned was in the trail, by its line in the archive.
pub(crate) async fn prove_archived(pool: &PgPool, line: &str) -> Result<Proof, Failure> {
    let mut connection = pool.acquire().await?;
    let event: EventRow = parse(line)?;
    let batch_id = match event.batch_id {
        Some(batch_id) => batch_id,
        None => sqlx::query_scalar("SELECT batch_id FROM audit_late WHERE event_id = $1 ORDER BY 1 LIMIT 1")
            .bind(event.id())
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(ProofError::NotCovered(event.id()))?,
    };
    prove_row(&mut connection, event, batch_id).await
}

async fn prove_row(connection: &mut PgConnection, event: EventRow, batch_id: Uuid) -> Result<Proof, Failure> {
    let id = event.id();
    let query = format!(
        "SELECT row_to_json(s)::text, t.number, b.leaves, \
         (SELECT note FROM audit_checkpoints c WHERE c.tree_size > t.number ORDER BY c.id LIMIT 1) \
         FROM audit_batches b JOIN audit_tree t ON t.batch_id = b.id, LATERAL (SELECT {BATCH}) s WHERE b.id = $1"
    );
    let row = sqlx::query(AssertSqlSafe(query)).bind(batch_id).fetch_optional(&mut *connection).await?;
    let row = row.ok_or(ProofError::NotCovered(id))?;
    let batch: BatchRow = parse(row.try_get(0)?)?;
    let (number, leaves): (i64, Vec<u8>) = (row.try_get(1)?, row.try_get(2)?);
    let checkpoint: String = row.try_get::<Option<String>, _>(3)?.ok_or(ProofError::NotCovered(id))?;
    let head = SignedHead::read(&checkpoint)?;

    let entry = event.entry(&mut Sealer::default()).map_err(|_| ProofError::Inconsistent(id))?;
    let entry = batch.sealed(entry).ok_or(ProofError::Inconsistent(id))?;
    let place = Entry::all(&leaves).position(|sealed| sealed == entry).ok_or(ProofError::Inconsistent(id))?;
    let previous = batch.previous_root.as_deref().map(bytes).transpose()?;
    let tree = seal::tree(batch.journal_id, previous.as_deref(), &leaves);
    let batch_path = Path::in_tree(&tree, place as u64 + 1).map_err(|_| ProofError::Inconsistent(id))?;
    let tree_path = path_in_database(connection, number.cast_unsigned(), head.size).await?;
    let rotations = Rotations::read(connection).await?.notes(&head.name).map(str::to_owned).collect();
    Ok(Proof { event, batch, batch_path, tree_path, checkpoint, rotations })
}

impl Proof {
    /// The last are the checkpoint, and those that exchange the log's key.
    pub(super) fn new(
        event: EventRow,
        batch: BatchRow,
        batch_path: Path,
        tree_path: Path,
        (checkpoint, rotations): (String, Vec<String>),
    ) -> Self {
        Self { event, batch, batch_path, tree_path, checkpoint, rotations }
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// The text is not a proof.
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        parse(text)
    }

    /// Returns the proof as a text.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, ProofError> {
        serde_json::to_string_pretty(self).map_err(|error| ProofError::Malformed(error.to_string()))
    }

    /// Verifies the proof, without a database.
    ///
    /// Its checkpoint is signed by this key, or by one to which exchanges in the proof lead from it.
    ///
    /// # Errors
    /// It fails to prove its claim, or another key signed its checkpoint.
    pub fn verify(&self, key: &PublicKey) -> Result<Proven, ProofError> {
        let mut rotations = Rotations::default();
        self.rotations.iter().for_each(|note| rotations.add(note));
        let head = rotations.keyring(std::slice::from_ref(key)).open(&self.checkpoint)?;
        let entry = self.event.entry(&mut Sealer::default());
        let entry = entry.map_err(|_| ProofError::Malformed("its event is none".into()))?;
        let of_form = "the form of its batch's leaves is not that of the event, or not known to this program";
        let entry = self.batch.sealed(entry).ok_or(ProofError::Wrong(of_form))?;
        let root = self.batch.root.as_str();
        let root = Hash(bytes(root)?.try_into().map_err(|_| ProofError::Malformed("a root has 32 bytes".into()))?);
        if !self.batch_path.leads(leaf_hash(&entry.to_bytes()), root)? {
            return Err(ProofError::Wrong("the event is not one of its batch"));
        }
        let fields = self.batch.fields()?;
        if self.tree_path.size != head.size || !self.tree_path.leads(batch_leaf(Row(&fields)), head.root)? {
            return Err(ProofError::Wrong("the batch is not one that the checkpoint covers"));
        }
        let by = head.time.as_deref().and_then(|time| time.parse().ok());
        Ok(Proven { event_id: entry.id, by, name: head.name })
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ProofError> {
    serde_json::from_str(text).map_err(|error| ProofError::Malformed(error.to_string()))
}

/// The bytes that PostgreSQL wrote as `\x` and hexadecimal.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, ProofError> {
    hex::decode(text.trim_start_matches("\\x")).map_err(|error| ProofError::Malformed(error.to_string()))
}

impl BatchRow {
    /// The entry of a row, if leaves of the batch's form can be such.
    pub(super) fn sealed(&self, row: Sealed) -> Option<Entry> {
        LeafForm(self.leaf_form).allows(row.form).then_some(row.entry)
    }

    /// As it is hashed.
    pub(super) fn fields(&self) -> Result<Vec<u8>, ProofError> {
        let time = |text: &str| time_field(text).ok_or_else(|| ProofError::Malformed(format!("invalid time {text:?}")));
        let mut row = Vec::new();
        for field in [
            Some(self.id.as_bytes().to_vec()),
            Some(self.journal_id.as_bytes().to_vec()),
            Some(self.first_position.to_be_bytes().to_vec()),
            Some(self.end_position.to_be_bytes().to_vec()),
            Some(self.rows.to_be_bytes().to_vec()),
            Some(self.origin.clone().into()),
            Some(time(&self.created_at)?),
            self.first_event_at.as_deref().map(time).transpose()?,
            self.last_event_at.as_deref().map(time).transpose()?,
            self.previous_position.map(|position| position.to_be_bytes().to_vec()),
            self.previous_root.as_deref().map(bytes).transpose()?,
            self.open_positions.as_deref().map(bytes).transpose()?,
            Some(bytes(&self.root)?),
            Some(self.leaf_form.to_be_bytes().to_vec()),
        ] {
            push_field(&mut row, field.as_deref());
        }
        Ok(row)
    }
}

impl Path {
    pub(super) fn new(number: u64, size: u64, hashes: &[Hash]) -> Self {
        Self { number, size, hashes: hashes.iter().map(|hash| hex::encode(hash.0)).collect() }
    }

    /// Of a tree whose leaves are all here.
    pub(super) fn in_tree(leaves: &[Hash], number: u64) -> Result<Self, tlog::Error> {
        struct Leaves<'a>(&'a [Hash]);
        impl HashReader for Leaves<'_> {
            fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
                let part = |index: &u64| {
                    let (begin, end) = range(*index);
                    merkle::root(self.0[begin as usize..end as usize].to_vec())
                };
                Ok(indexes.iter().map(part).collect())
            }
        }
        let size = leaves.len() as u64;
        Ok(Self::new(number, size, &prove_record(size, number, &Leaves(leaves))?))
    }

    /// Whether it leads from this leaf to this root.
    pub(super) fn leads(&self, leaf: Hash, root: Hash) -> Result<bool, ProofError> {
        let hash = |text: &String| {
            bytes(text)?.try_into().map(Hash).map_err(|_| ProofError::Malformed("a hash has 32 bytes".into()))
        };
        let hashes = self.hashes.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
        Ok(self.number < self.size && check_record(&hashes, self.size, root, self.number, leaf).is_ok())
    }
}

/// Which leaves a full part of a tree has, by its number among those that [`tlog`] knows.
fn range(index: u64) -> (u64, u64) {
    let (level, number) = split_stored_hash_index(index);
    (number << level, (number + 1) << level)
}

/// The path in the tree of all batches, of whose leaves each is read once and none is kept.
async fn path_in_database(connection: &mut PgConnection, number: u64, size: u64) -> Result<Path, Failure> {
    /// Says which hashes are needed before they are there.
    #[derive(Default)]
    struct Known {
        asked: RefCell<Vec<u64>>,
        hashes: HashMap<u64, Hash>,
    }
    impl HashReader for Known {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
            self.asked.borrow_mut().extend(indexes);
            Ok(indexes.iter().map(|index| self.hashes.get(index).copied().unwrap_or_default()).collect())
        }
    }
    let wrong = |_| ProofError::Wrong("the tree is smaller than its checkpoint says");
    let mut known = Known::default();
    prove_record(size, number, &known).map_err(wrong)?;
    for index in known.asked.take() {
        let (begin, end) = range(index);
        let mut part = Frontier::default();
        let query = format!("SELECT leaf FROM audit_tree WHERE number >= {begin} AND number < {end} ORDER BY number");
        decode::rows(connection, &query, |row| {
            let leaf = row.fields().next()?.and_then(|leaf| leaf.try_into().ok()).unwrap_or_default();
            part.push(Hash(leaf));
            Ok::<_, sqlx::Error>(())
        })
        .await?;
        known.hashes.insert(index, part.root());
    }
    let hashes = prove_record(size, number, &known).map_err(wrong)?;
    Ok(Path::new(number, size, &hashes))
}
