//! The proof that a row is in the trail, for a verifier without access to the database.
//!
//! ```text
//! event -> entry -> leaf     path to     the root of its batch
//! batch          -> leaf     path to     the root in a checkpoint, which is signed
//! ```

use super::checkpoint::{BATCH, batch_leaf};
use super::head::SignedHead;
use super::key::PublicKey;
use super::keyring::Rotations;
use super::path::{Path, path_in_database};
use super::proof_error::{Failure, ProofError, bytes};
use super::row::{EventRow, time_field};
use super::stamp::{self, TimeStamp};
#[cfg(feature = "timestamp")]
use super::tsp::{self, Authorities, Existence};
use super::unbatched;
use crate::event::{Timestamp, ids};
use crate::postgres::copy::Row;
use crate::postgres::copy::push_field;
use crate::seal::merkle::{Hash, leaf_hash};
use crate::seal::{self, Entry, LeafForm, Sealed, Sealer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgPool};
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
    /// Proofs of older programs have none, and neither have those of rows that no time stamp covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_stamp: Option<StampPart>,
}

/// The time stamp of the first checkpoint that covers the batch and has one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StampPart {
    /// The URL that the token came from.
    authority: String,
    /// In base64.
    token: String,
    /// The checkpoint that is stamped, if it is a later one than that of the proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    later: Option<Later>,
}

/// A later checkpoint, and the path to its root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Later {
    checkpoint: String,
    tree_path: Path,
}

impl StampPart {
    pub(super) fn new(stamp: &TimeStamp, later: Option<Path>) -> Self {
        let later = later.map(|tree_path| Later { checkpoint: stamp.note.clone(), tree_path });
        Self { authority: stamp.authority.clone(), token: STANDARD.encode(&stamp.token), later }
    }
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
    /// The time that the event states.
    pub recorded_at: Option<Timestamp>,
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

    let place = batch.place(&event, &leaves).ok_or(ProofError::Inconsistent(id))?;
    let previous = batch.previous_root.as_deref().map(bytes).transpose()?;
    let tree = seal::tree(batch.journal_id, previous.as_deref(), &leaves);
    let batch_path = Path::in_tree(&tree, place as u64 + 1).map_err(|_| ProofError::Inconsistent(id))?;
    let tree_path = path_in_database(connection, number.cast_unsigned(), head.size).await?;
    let rotations = Rotations::read(connection).await?.notes(&head.name).map(str::to_owned).collect();
    let time_stamp = match stamp::covering(connection, number).await? {
        Some(stamp) if stamp.note == checkpoint => Some(StampPart::new(&stamp, None)),
        Some(stamp) => {
            let size = SignedHead::read(&stamp.note)?.size;
            let path = path_in_database(connection, number.cast_unsigned(), size).await?;
            Some(StampPart::new(&stamp, Some(path)))
        }
        None => None,
    };
    Ok(Proof { event, batch, batch_path, tree_path, checkpoint, rotations, time_stamp })
}

impl Proof {
    /// The last but one are the checkpoint, and those that exchange the log's key.
    pub(super) fn new(
        event: EventRow,
        batch: BatchRow,
        batch_path: Path,
        tree_path: Path,
        (checkpoint, rotations): (String, Vec<String>),
        time_stamp: Option<StampPart>,
    ) -> Self {
        Self { event, batch, batch_path, tree_path, checkpoint, rotations, time_stamp }
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
        let (entry, leaf) = self.leaf()?;
        if self.tree_path.size != head.size || !self.tree_path.leads(leaf, head.root)? {
            return Err(ProofError::Wrong("the batch is not one that the checkpoint covers"));
        }
        let by = head.time.as_deref().and_then(|time| time.parse().ok());
        Ok(Proven { event_id: entry.id, by, name: head.name, recorded_at: self.event.created_at() })
    }

    /// Verifies the time stamp in the proof, without a database, and returns the instant at which the
    /// event existed. Returns `None` if the proof has no time stamp.
    ///
    /// Without `authorities`, the token must be signed by the certificate in it, which anybody could
    /// have made. Whose trail it is, [`verify`](Self::verify) tells.
    ///
    /// # Errors
    /// The time stamp is not one of this event, or its signature or its certificate does not verify.
    #[cfg(feature = "timestamp")]
    #[cfg_attr(docsrs, doc(cfg(feature = "timestamp")))]
    pub fn existence(&self, authorities: Option<&Authorities>) -> Result<Option<Existence>, ProofError> {
        let Some(StampPart { token, later, .. }) = &self.time_stamp else {
            return Ok(None);
        };
        let (note, path) = match later {
            Some(Later { checkpoint, tree_path }) => (checkpoint, tree_path),
            None => (&self.checkpoint, &self.tree_path),
        };
        let head = SignedHead::read(note)?;
        let (_, leaf) = self.leaf()?;
        if path.size != head.size || !path.leads(leaf, head.root)? {
            return Err(ProofError::Wrong("the time stamp is of a checkpoint that does not cover the batch"));
        }
        let token = STANDARD.decode(token).map_err(|error| ProofError::Malformed(error.to_string()))?;
        Ok(Some(tsp::verify(&token, note, authorities)?))
    }

    /// The event's entry, and the leaf of its batch, in which the entry is.
    fn leaf(&self) -> Result<(Entry, Hash), ProofError> {
        let root = self.batch.root.as_str();
        let root = Hash(bytes(root)?.try_into().map_err(|_| ProofError::Malformed("a root has 32 bytes".into()))?);
        let leads = |entry: &Entry| self.batch_path.leads(leaf_hash(&entry.to_bytes()), root);
        let entry = self.event.sealed_entry(&mut Sealer::default(), |sealed| leads(&sealed.entry).unwrap_or_default());
        let (entry, _) = entry.map_err(|_| ProofError::Malformed("its event is invalid".into()))?;
        let of_form = "the form of its batch's leaves is not that of the event, or not known to this program";
        let entry = self.batch.sealed(entry).ok_or(ProofError::Wrong(of_form))?;
        if !leads(&entry)? {
            return Err(ProofError::Wrong("the event is not one of its batch"));
        }
        Ok((entry, batch_leaf(Row(&self.batch.fields()?))))
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ProofError> {
    serde_json::from_str(text).map_err(|error| ProofError::Malformed(error.to_string()))
}

impl BatchRow {
    /// The entry of a row, if leaves of the batch's form can be such.
    pub(super) fn sealed(&self, row: Sealed) -> Option<Entry> {
        LeafForm(self.leaf_form).allows(row.form).then_some(row.entry)
    }

    /// Returns the place of a row among the leaves of the batch.
    pub(super) fn place(&self, event: &EventRow, leaves: &[u8]) -> Option<usize> {
        let (place, sealed) = Entry::all(leaves).enumerate().find(|(_, entry)| entry.id == event.id())?;
        let (entry, _) = event.sealed_entry(&mut Sealer::default(), |row| row.entry == sealed).ok()?;
        (self.sealed(entry)? == sealed).then_some(place)
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
