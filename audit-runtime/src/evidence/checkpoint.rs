//! Checkpoints: signed statements about the trail at a moment.
//!
//! All sealed batches stand in one order, `audit_tree`, and are the leaves of one tree as in
//! RFC 6962. A checkpoint is its size and its root, signed: a signed note
//! (<https://c2sp.org/signed-note>) in the form of <https://c2sp.org/tlog-checkpoint>. A verifier
//! with a copy can prove that nothing it covers was changed since.

use super::error::{EvidenceError, Failure};
use super::head::{NUMBER, SignedHead, TIME};
use super::key::{KeyError, PublicKey, SigningKey};
use super::keyring::Rotations;
use super::unbatched::{self, KNOWS_FORMS, LOCK, Lookback};
use crate::event::Timestamp;
use crate::postgres::copy;
use crate::postgres::copy::{Row, decode};
use crate::seal::merkle::{Frontier, Hash, leaf_hash};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row as _};
use uuid::Uuid;

/// The columns that a batch's row is hashed from, in this order.
pub const BATCH: &str = "b.id, b.journal_id, b.first_position, b.end_position, b.rows, b.origin, b.created_at, \
     b.first_event_at, b.last_event_at, b.previous_position, b.previous_root, b.open_positions, b.root, b.leaf_form";

const TAG: &[u8] = b"audit-batch 1\n";
/// Of a batch whose leaves are not of the first form: it covers that.
const TAG_2: &[u8] = b"audit-batch 2\n";
/// The field of the first form, an `int2`: the last of the row.
const FIRST_FORM: [u8; 6] = [0, 0, 0, 2, 0, 1];

/// Batches that are put into the tree at once.
const CHUNK: usize = 50_000;

/// The leaf of a batch, from its row: the fields of [`BATCH`], as in binary COPY.
pub(crate) fn batch_leaf(row: Row<'_>) -> Hash {
    match row.0.strip_suffix(&FIRST_FORM) {
        Some(row) => leaf_hash(&[TAG, row].concat()),
        None => leaf_hash(&[TAG_2, row.0].concat()),
    }
}

/// A checkpoint that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Its id in `audit_checkpoints`.
    pub id: i64,
    /// The signed note, to be kept elsewhere.
    pub note: String,
    /// The number of batches that the checkpoint covers.
    pub batches: u64,
    /// The number of covered batches that are new since the last checkpoint.
    pub new_batches: u64,
    /// Rows that had come without a batch and were sealed now.
    pub sealed_late: u64,
    /// The time at which it was made, by this machine's clock.
    pub time: Timestamp,
}

/// Seals what came without a batch, puts new batches into the tree, and signs its root.
///
/// `known` are checkpoints that were made before. If the database lacks one of this name, nothing is
/// signed.
pub(crate) async fn make(
    connection: &mut PgConnection,
    key: &SigningKey,
    lookback: Lookback,
    known: &[SignedHead],
) -> Result<Checkpoint, Failure> {
    let open = |note: &str| in_force(key, note);
    let made = make_behind(connection, key, lookback, open, |last| has_all(last, known), Statement::default()).await;
    explained(connection, key, made).await
}

/// Reads the last checkpoint, which this key must have signed, and must not have handed over to
/// another one.
pub(super) fn in_force(key: &SigningKey, note: &str) -> Result<SignedHead, EvidenceError> {
    let head = key.public().open(note).map_err(EvidenceError::LastCheckpoint)?;
    match &head.rotated {
        Some(rotated) if rotated.new != *key.public() => {
            Err(replaced(key, &rotated.new, head.number.unwrap_or_default()))
        }
        _ => Ok(head),
    }
}

fn replaced(key: &SigningKey, by: &PublicKey, number: u64) -> EvidenceError {
    EvidenceError::Replaced { key: key.public().to_string(), by: by.to_string(), number }
}

/// Names the key that replaced this one, if that is why it did not sign the last checkpoint.
pub(super) async fn explained<T>(
    connection: &mut PgConnection,
    key: &SigningKey,
    made: Result<T, Failure>,
) -> Result<T, Failure> {
    match made {
        Err(Failure::Own(EvidenceError::LastCheckpoint(KeyError::Signer))) => {
            let rotations = Rotations::read(connection).await?;
            let by = rotations.replaced(key.public());
            let unknown = EvidenceError::LastCheckpoint(KeyError::Signer);
            Err(by.map_or(unknown, |(by, number)| replaced(key, by, number)).into())
        }
        made => made,
    }
}

/// Refuses a log whose last checkpoint is older than one of these, or contradicts it.
pub(crate) fn has_all(last: Option<&SignedHead>, known: &[SignedHead]) -> Result<(), EvidenceError> {
    let left = last.map_or(0, |last| last.size);
    let lacks = |known: &&SignedHead| {
        last.is_none_or(|last| {
            known.size > last.size || known.number > last.number || (known.size == last.size && known.root != last.root)
        })
    };
    match known.iter().find(lacks) {
        Some(known) => Err(EvidenceError::WentBack {
            name: known.name.clone(),
            number: known.number.unwrap_or_default(),
            size: known.size,
            left,
        }),
        None => Ok(()),
    }
}

/// Reads the last checkpoint as text, if there is one.
pub(crate) async fn last_note(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT note FROM audit_checkpoints ORDER BY id DESC LIMIT 1").fetch_optional(connection).await
}

/// Reads the last checkpoint, if there is one, which this key must have signed.
pub(crate) async fn last_of(connection: &mut PgConnection, key: &SigningKey) -> Result<Option<SignedHead>, Failure> {
    let last = last_note(connection).await?.map(|note| in_force(key, &note)).transpose().map_err(Failure::Own);
    explained(connection, key, last).await
}

/// The tree as the last checkpoint left it.
struct Last {
    frontier: Frontier,
    /// The number of the next checkpoint.
    number: u64,
    /// The last one, if there is one.
    head: Option<SignedHead>,
}

/// The statements of a checkpoint beside the tree.
#[derive(Default)]
pub(super) struct Statement<'a> {
    /// Further lines of the note.
    pub(super) lines: &'a str,
    /// The key that signs it as well.
    pub(super) next: Option<&'a SigningKey>,
}

/// Makes a checkpoint behind the last one, which `open` reads and `check` may refuse.
pub(super) async fn make_behind(
    connection: &mut PgConnection,
    key: &SigningKey,
    lookback: Lookback,
    open: impl FnOnce(&str) -> Result<SignedHead, EvidenceError>,
    check: impl FnOnce(Option<&SignedHead>) -> Result<(), EvidenceError>,
    statement: Statement<'_>,
) -> Result<Checkpoint, Failure> {
    let sealed_late = unbatched::seal(connection, lookback).await?;
    let mut transaction = connection.begin().await?;
    transaction.execute(LOCK).await?;
    transaction.execute(KNOWS_FORMS).await?;
    let last = last(&mut transaction, open).await?;
    check(last.head.as_ref())?;
    let Last { mut frontier, number, .. } = last;
    let before = frontier.size();
    while grow(&mut transaction, &mut frontier, lookback).await? == CHUNK {}
    let time = Timestamp::now();
    let lines = format!("{TIME}{time}\n{NUMBER}{number}\n{}", statement.lines);
    let note = key.sign(frontier.size(), frontier.root(), &lines, statement.next)?;
    let insert = "INSERT INTO audit_checkpoints (tree_size, note, frontier) VALUES ($1, $2, $3) RETURNING id";
    let id = sqlx::query_scalar(insert)
        .bind(frontier.size().cast_signed())
        .bind(&note)
        .bind(frontier.to_bytes())
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let batches = frontier.size();
    Ok(Checkpoint { id, note, batches, new_batches: batches - before, sealed_late, time })
}

/// Reads the tree as the last checkpoint left it.
async fn last(
    connection: &mut PgConnection,
    open: impl FnOnce(&str) -> Result<SignedHead, EvidenceError>,
) -> Result<Last, Failure> {
    let last = sqlx::query("SELECT tree_size, note, frontier FROM audit_checkpoints ORDER BY id DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let in_tree: i64 =
        sqlx::query_scalar("SELECT coalesce(max(number) + 1, 0) FROM audit_tree").fetch_one(&mut *connection).await?;
    let Some(last) = last else {
        return if in_tree == 0 {
            Ok(Last { frontier: Frontier::default(), number: 0, head: None })
        } else {
            Err(EvidenceError::Inconsistent("audit_tree: there are batches in it, and no checkpoint").into())
        };
    };
    let head = open(last.try_get(1)?)?;
    let frontier = Frontier::from_bytes(head.size, &last.try_get::<Vec<u8>, _>(2)?)
        .filter(|frontier| frontier.root() == head.root)
        .ok_or(EvidenceError::Inconsistent("the last checkpoint's frontier"))?;
    let is_whole = last.try_get::<i64, _>(0)?.cast_unsigned() == head.size && in_tree.cast_unsigned() == head.size;
    let number = head.number.map_or(0, |number| number + 1);
    if is_whole {
        Ok(Last { frontier, number, head: Some(head) })
    } else {
        Err(EvidenceError::Inconsistent("the last checkpoint's size").into())
    }
}

/// Puts batches that are not in the tree into it, and returns how many.
async fn grow(connection: &mut PgConnection, frontier: &mut Frontier, lookback: Lookback) -> Result<usize, Failure> {
    let query = format!(
        "SELECT {BATCH} FROM audit_batches b WHERE b.root IS NOT NULL AND NOT EXISTS \
         (SELECT FROM audit_tree t WHERE t.batch_id = b.id){} ORDER BY b.created_at, b.id LIMIT {CHUNK}",
        lookback.condition("b.created_at")
    );
    let mut found: Vec<(Uuid, Hash)> = Vec::new();
    decode::rows(connection, &query, |row| {
        found.push((row.fields().uuid()?, batch_leaf(row)));
        Ok::<_, Failure>(())
    })
    .await?;
    let mut rows = Vec::with_capacity(found.len() * 70);
    for (batch_id, leaf) in &found {
        copy::push_row(&mut rows, &[&frontier.size().to_be_bytes(), batch_id.as_bytes(), &leaf.0]);
        frontier.push(*leaf);
    }
    copy::send(connection, "COPY audit_tree (number, batch_id, leaf) FROM STDIN (FORMAT binary)", &rows).await?;
    Ok(found.len())
}
