//! One event, checked against its seal and its checkpoint at the moment it is looked at.
//!
//! ```text
//! row        its digest is its batch's leaf
//! batch      its leaves lead to the batch's root
//! tree       the batch leads to the root in the checkpoint
//! signature  the checkpoint is signed by the key
//! ```

use super::checkpoint::{BATCH, batch_leaf};
use super::coverage::Coverage;
use super::head::SignedHead;
use super::key::PublicKey;
use super::keyring::Keyring;
use super::path::Path;
use super::proof::{BatchRow, Proof, StampPart};
use super::proof_error::bytes;
use super::row::EventRow;
use super::stamp::{self, TimeStamp};
use super::tree::Tree;
use super::unbatched;
use crate::event::Timestamp;
use crate::postgres::copy::Row;
use crate::record::TrailEvent;
use crate::seal::merkle::{self, Hash};
use crate::seal::{self, Entry, Sealed, Sealer};
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::HashMap;
use std::collections::hash_map;
use tlog_tiles::tlog::prove_record;
use uuid::Uuid;

/// The result of one step of an examination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// The step leads where it should.
    Passed,
    /// The step leads elsewhere: the text states where the trail was changed.
    Failed(String),
    /// There is nothing to check, for the reason in the text.
    Waiting(&'static str),
}

/// The checkpoint by which an event was examined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoveringCheckpoint {
    /// Its id in `audit_checkpoints`.
    pub id: i64,
    /// The number of batches that it covers.
    pub batches: u64,
    /// The time at which it was stored.
    pub time: Timestamp,
    /// The signed note.
    pub note: String,
}

/// The evidence of one event, as it was found when the event was examined.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Examination {
    /// The event.
    pub event_id: Uuid,
    /// The batch that seals the event, if there is one.
    pub coverage: Option<Coverage>,
    /// The batch's number in the tree, if it is there.
    pub tree_number: Option<u64>,
    /// The number of leaves of its batch.
    pub leaves: u64,
    /// The checkpoint, if one covers the batch.
    pub checkpoint: Option<CoveringCheckpoint>,
    /// Whether the row has the digest that was sealed.
    pub row: Check,
    /// Whether the batch's leaves lead to its root.
    pub batch: Check,
    /// Whether the batch leads to the checkpoint's root.
    pub tree: Check,
    /// Whether the key signed the checkpoint.
    pub signature: Check,
    /// The proof, if the row, the batch and the tree passed.
    pub proof: Option<Proof>,
}

const NOT_SEALED: &str = "no batch seals the event yet";
const NOT_COVERED: &str = "no checkpoint covers the batch yet";
const NO_KEY: &str = "no public key was given";

impl Examination {
    fn waiting(event_id: Uuid, why: &'static str) -> Self {
        let waiting = || Check::Waiting(why);
        Self {
            event_id,
            coverage: None,
            tree_number: None,
            leaves: 0,
            checkpoint: None,
            row: waiting(),
            batch: waiting(),
            tree: waiting(),
            signature: waiting(),
            proof: None,
        }
    }

    /// Returns the first step that failed, with the place where it did.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        [&self.row, &self.batch, &self.tree, &self.signature].into_iter().find_map(|check| match check {
            Check::Failed(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Returns whether every step passed that a checkpoint allows. Without a key the signature is
    /// not checked.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proof.is_some() && self.failure().is_none()
    }
}

/// A batch as it was loaded for one or more of its events.
#[derive(Debug)]
pub(super) struct Loaded {
    row: BatchRow,
    coverage: Coverage,
    leaves: Vec<u8>,
    tree: Vec<Hash>,
    number: Option<u64>,
    checkpoint: Option<CoveringCheckpoint>,
    rotations: Vec<String>,
    time_stamp: Option<StampPart>,
    batch: Check,
    path: Result<Option<Path>, String>,
    signature: Check,
}

/// Examines events of the trail, each by its id and its time. A batch is read once for all of them.
pub(crate) async fn examine(
    pool: &PgPool,
    events: &[TrailEvent],
    tree: &Tree,
    key: Option<&PublicKey>,
) -> Result<Vec<Examination>, sqlx::Error> {
    let keyring = key.map(|key| tree.keyring(key));
    let mut connection = pool.acquire().await?;
    let mut rows = rows(&mut connection, events).await?;
    let mut batches: HashMap<Uuid, Option<Loaded>> = HashMap::new();
    let mut examinations = Vec::with_capacity(events.len());
    for event in events {
        let Some((text, batch_id, is_late)) = rows.remove(&(event.id, event.created_at)) else {
            let mut gone = Examination::waiting(event.id, "the row is gone");
            gone.row = Check::Failed("the row is no longer in the trail".into());
            examinations.push(gone);
            continue;
        };
        let Some(batch_id) = batch_id else {
            examinations.push(Examination::waiting(event.id, NOT_SEALED));
            continue;
        };
        let batch = match batches.entry(batch_id) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(new) => {
                new.insert(load(&mut connection, batch_id, tree, keyring.as_ref(), None).await?)
            }
        };
        examinations.push(match batch {
            Some(batch) => batch.examine(event.id, &text, is_late),
            None => {
                let mut unknown = Examination::waiting(event.id, "there is no such batch");
                unknown.row =
                    Check::Failed(format!("the row names the batch {batch_id}, which does not exist or is not sealed"));
                unknown
            }
        });
    }
    Ok(examinations)
}

type Found = HashMap<(Uuid, Timestamp), (String, Option<Uuid>, bool)>;

/// The rows as PostgreSQL writes them in JSON, with the batch that seals each.
async fn rows(connection: &mut PgConnection, events: &[TrailEvent]) -> Result<Found, sqlx::Error> {
    let query = format!(
        "SELECT s.id, s.created_at, row_to_json(s)::text, coalesce(b.batch_id, l.batch_id), b.batch_id IS NULL FROM unnest($1::uuid[], $2::timestamptz[]) \
         AS g (id, at) JOIN audit_events b ON b.created_at = g.at AND b.id = g.id, LATERAL (SELECT {} FROM (SELECT b.*) e) s \
         LEFT JOIN audit_late l ON l.event_id = s.id AND l.created_at = s.created_at",
        unbatched::COLUMNS
    );
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let times: Vec<Timestamp> = events.iter().map(|event| event.created_at).collect();
    let query = sqlx::query(AssertSqlSafe(query)).bind(ids).bind(times);
    let row =
        |row: PgRow| Ok(((row.try_get(0)?, row.try_get(1)?), (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?)));
    query.fetch_all(connection).await?.into_iter().map(row).collect()
}

/// Reads a batch, with its place in the tree and the first checkpoint that covers it, or this one if it does.
pub(super) async fn load(
    connection: &mut PgConnection,
    batch_id: Uuid,
    tree: &Tree,
    keyring: Option<&Keyring>,
    kept: Option<&CoveringCheckpoint>,
) -> Result<Option<Loaded>, sqlx::Error> {
    let query = format!(
        "SELECT row_to_json(s)::text, b.created_at, b.leaves, t.number, c.id, c.tree_size, c.created_at, c.note FROM audit_batches b \
         LEFT JOIN audit_tree t ON t.batch_id = b.id LEFT JOIN LATERAL (SELECT * FROM audit_checkpoints c WHERE c.tree_size > t.number \
         ORDER BY c.id LIMIT 1) c ON true, LATERAL (SELECT {BATCH}) s WHERE b.id = $1 AND b.root IS NOT NULL AND b.leaves IS NOT NULL"
    );
    let row = sqlx::query(AssertSqlSafe(query)).bind(batch_id).fetch_optional(&mut *connection).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let sealed: String = row.try_get(0)?;
    let Ok(sealed) = serde_json::from_str::<BatchRow>(&sealed) else {
        return Ok(None);
    };
    let leaves: Vec<u8> = row.try_get(2)?;
    let number = row.try_get::<Option<i64>, _>(3)?.map(i64::cast_unsigned);
    let checkpoint = match row.try_get::<Option<i64>, _>(4)? {
        _ if kept.is_some() => kept.filter(|kept| number.is_some_and(|number| number < kept.batches)).cloned(),
        Some(id) => Some(CoveringCheckpoint {
            id,
            batches: row.try_get::<i64, _>(5)?.cast_unsigned(),
            time: row.try_get(6)?,
            note: row.try_get(7)?,
        }),
        None => None,
    };
    let coverage = Coverage {
        batch_id,
        sealed_at: row.try_get(1)?,
        is_late: false,
        checkpoint: checkpoint.as_ref().map(|checkpoint| checkpoint.time),
        time_stamp: match number {
            Some(number) => stamp::covering(connection, number.cast_signed()).await?,
            None => None,
        },
    };
    Ok(Some(Loaded::new(sealed, coverage, leaves, number, checkpoint, tree, keyring)))
}

impl Loaded {
    fn new(
        row: BatchRow,
        coverage: Coverage,
        leaves: Vec<u8>,
        number: Option<u64>,
        checkpoint: Option<CoveringCheckpoint>,
        tree: &Tree,
        keyring: Option<&Keyring>,
    ) -> Self {
        let previous = row.previous_root.as_deref().and_then(|root| bytes(root).ok());
        let hashes = seal::tree(row.journal_id, previous.as_deref(), &leaves);
        let root = bytes(&row.root).ok().and_then(|root| root.try_into().ok()).map(Hash);
        let batch = if Some(merkle::root(hashes.clone())) == root {
            Check::Passed
        } else {
            Check::Failed(format!("the leaves of the batch {} do not lead to its root", coverage.batch_id))
        };
        let head = checkpoint.as_ref().map(|checkpoint| SignedHead::read(&checkpoint.note));
        let path = match (&head, number) {
            (Some(Ok(head)), Some(number)) => path(&row, head, number, tree).map(Some),
            (Some(Err(error)), _) => Err(error.to_string()),
            _ => Ok(None),
        };
        let time_stamp = match (&coverage.time_stamp, &checkpoint, number) {
            (Some(stamp), Some(checkpoint), Some(number)) => stamped(&row, stamp, checkpoint, number, tree),
            _ => None,
        };
        let rotations = match &head {
            Some(Ok(head)) => tree.rotations(&head.name),
            _ => Vec::new(),
        };
        let signature = match (&checkpoint, keyring) {
            (None, _) => Check::Waiting(NOT_COVERED),
            (Some(_), None) => Check::Waiting(NO_KEY),
            (Some(checkpoint), Some(keyring)) => match keyring.open(&checkpoint.note) {
                Ok(_) => Check::Passed,
                Err(error) => Check::Failed(format!("checkpoint {}: {error}", checkpoint.id)),
            },
        };
        Self { row, coverage, leaves, tree: hashes, number, checkpoint, rotations, time_stamp, batch, path, signature }
    }

    /// The leaves of the batch, one behind another.
    pub(super) fn leaves(&self) -> &[u8] {
        &self.leaves
    }

    /// The first step that failed from the batch on.
    pub(super) fn failure(&self) -> Option<String> {
        match (&self.batch, &self.path, &self.signature) {
            (Check::Failed(why), ..) | (_, Err(why), _) | (_, _, Check::Failed(why)) => Some(why.clone()),
            _ => None,
        }
    }

    pub(super) fn examine(&self, id: Uuid, text: &str, is_late: bool) -> Examination {
        let event = serde_json::from_str::<EventRow>(text).ok();
        let (place, known) = Entry::all(&self.leaves).enumerate().find(|(_, entry)| entry.id == id).unzip();
        let is_known = |row: &Sealed| known.as_ref() == Some(&row.entry);
        let sealed = event.as_ref().and_then(|event| event.sealed_entry(&mut Sealer::default(), is_known).ok());
        let row = match (sealed, place) {
            (_, None) => Check::Failed("the batch was sealed without this row".into()),
            (None, _) => Check::Failed("the row cannot be read as an event".into()),
            (Some((sealed, _)), Some(_)) => match self.row.sealed(sealed) {
                Some(entry) if known == Some(entry) => Check::Passed,
                Some(_) => Check::Failed("the row is not what was sealed".into()),
                None => Check::Failed("the batch has leaves of a form that this row cannot have".into()),
            },
        };
        let tree = match &self.path {
            Ok(Some(_)) => Check::Passed,
            Ok(None) => Check::Waiting(NOT_COVERED),
            Err(text) => Check::Failed(text.clone()),
        };
        let mut proof = None;
        if let (Check::Passed, Check::Passed, Some(event), Some(place), Some(checkpoint), Ok(Some(path))) =
            (&row, &self.batch, event, place, &self.checkpoint, &self.path)
            && let Ok(batch_path) = Path::in_tree(&self.tree, place as u64 + 1)
        {
            let (batch, note) = (self.row.clone(), checkpoint.note.clone());
            let notes = (note, self.rotations.clone());
            proof = Some(Proof::new(event, batch, batch_path, path.clone(), notes, self.time_stamp.clone()));
        }
        Examination {
            event_id: id,
            coverage: Some(Coverage { is_late, ..self.coverage.clone() }),
            tree_number: self.number,
            leaves: self.tree.len() as u64 - 1,
            checkpoint: self.checkpoint.clone(),
            row,
            batch: self.batch.clone(),
            tree,
            signature: self.signature.clone(),
            proof,
        }
    }
}

/// The time stamp of a batch for its proofs. One of a checkpoint that the tree does not lead to is
/// left out, and `verify` reports that checkpoint.
fn stamped(
    batch: &BatchRow,
    stamp: &TimeStamp,
    checkpoint: &CoveringCheckpoint,
    number: u64,
    tree: &Tree,
) -> Option<StampPart> {
    if stamp.checkpoint == checkpoint.id {
        return Some(StampPart::new(stamp, None));
    }
    let head = SignedHead::read(&stamp.note).ok()?;
    Some(StampPart::new(stamp, Some(path(batch, &head, number, tree).ok()?)))
}

/// The path from a batch to the root in a checkpoint, or the reason that it leads elsewhere.
fn path(batch: &BatchRow, head: &SignedHead, number: u64, tree: &Tree) -> Result<Path, String> {
    if head.size > tree.batches() || number >= head.size {
        return Err(format!("the checkpoint covers {} batches, and the tree has {}", head.size, tree.batches()));
    }
    let hashes = prove_record(head.size, number, tree).map_err(|error| format!("{error:?}"))?;
    let path = Path::new(number, head.size, &hashes);
    let fields = batch.fields().map_err(|error| error.to_string())?;
    match path.leads(batch_leaf(Row(&fields)), head.root) {
        Ok(true) => Ok(path),
        Ok(false) => {
            Err("the batch does not lead to the root in the checkpoint: its row or the tree was changed".into())
        }
        Err(error) => Err(error.to_string()),
    }
}
