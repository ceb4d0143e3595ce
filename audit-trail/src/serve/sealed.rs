//! Batches and checkpoints, as the tables have them.

use super::refusal::Refusal;
use super::state::Site;
use audit_runtime::Timestamp;
use audit_runtime::evidence::{PublicKey, Tree};
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// Batches and checkpoints of a page.
const PAGE: i64 = 100;

/// A batch, without its leaves.
#[derive(Debug, Serialize)]
pub(crate) struct Batch {
    pub(crate) id: Uuid,
    pub(crate) created_at: Timestamp,
    pub(crate) origin: String,
    pub(crate) rows: u64,
    pub(crate) journal_id: Uuid,
    pub(crate) first_position: i64,
    pub(crate) end_position: i64,
    pub(crate) is_sealed: bool,
    pub(crate) root: Option<String>,
    pub(crate) previous_root: Option<String>,
    /// Its number in the tree.
    pub(crate) number: Option<i64>,
    /// The first checkpoint that covers it.
    pub(crate) checkpoint: Option<i64>,
    /// Its events that were pruned.
    pub(crate) pruned: u64,
}

/// A page of batches, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Batches {
    pub(crate) rows: Vec<Batch>,
    /// The time and the id before which the next page begins.
    pub(crate) before: Option<String>,
}

const BATCH: &str = "SELECT b.id, b.created_at, b.origin, b.rows::bigint, b.journal_id, b.first_position, b.end_position, b.root IS NOT NULL, \
     encode(b.root, 'hex'), encode(b.previous_root, 'hex'), t.number, \
     (SELECT c.id FROM audit_checkpoints c WHERE c.tree_size > t.number ORDER BY c.id LIMIT 1), \
     LEAST(coalesce((SELECT sum(p.rows) FROM audit_pruned p WHERE p.batch_id = b.id), 0), b.rows)::bigint \
     FROM audit_batches b LEFT JOIN audit_tree t ON t.batch_id = b.id WHERE ";

fn batch(row: &PgRow) -> Result<Batch, sqlx::Error> {
    Ok(Batch {
        id: row.try_get(0)?,
        created_at: row.try_get(1)?,
        origin: row.try_get(2)?,
        rows: row.try_get::<i64, _>(3)?.cast_unsigned(),
        journal_id: row.try_get(4)?,
        first_position: row.try_get(5)?,
        end_position: row.try_get(6)?,
        is_sealed: row.try_get(7)?,
        root: row.try_get(8)?,
        previous_root: row.try_get(9)?,
        number: row.try_get(10)?,
        checkpoint: row.try_get(11)?,
        pruned: row.try_get::<i64, _>(12)?.cast_unsigned(),
    })
}

/// Reads a page of batches, before a time and an id as the page before stated them.
pub(crate) async fn batches(site: &Site, before: Option<&str>) -> Result<Batches, Refusal> {
    let place = |text: &str| {
        let (micros, id) = text.split_once('.')?;
        Some((Timestamp::from_unix_micros(micros.parse().ok()?), Uuid::try_parse(id).ok()?))
    };
    let before = match before {
        Some(text) => place(text).ok_or_else(|| Refusal::bad("before: write it as the page before states it"))?,
        None => (Timestamp::INFINITY, Uuid::max()),
    };
    let sql =
        format!("{BATCH} (b.created_at, b.id) < ($1, $2) ORDER BY b.created_at DESC, b.id DESC LIMIT {}", PAGE + 1);
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(before.0).bind(before.1).fetch_all(&site.pool).await?;
    let mut rows = rows.iter().map(batch).collect::<Result<Vec<_>, _>>()?;
    let has_more = rows.len() > PAGE as usize;
    rows.truncate(PAGE as usize);
    let last = rows.last().filter(|_| has_more);
    let before = last.and_then(|last| Some(format!("{}.{}", last.created_at.unix_micros()?, last.id)));
    Ok(Batches { rows, before })
}

/// Reads one batch.
pub(crate) async fn one_batch(site: &Site, id: Uuid) -> Result<Option<Batch>, Refusal> {
    let sql = format!("{BATCH} b.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(&site.pool).await?;
    Ok(row.as_ref().map(batch).transpose()?)
}

/// A checkpoint.
#[derive(Debug, Serialize)]
pub(crate) struct Checkpoint {
    pub(crate) id: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) batches: u64,
    pub(crate) note: String,
    /// The name of the key that signed it, or why it is not signed by the key; `None` without a key.
    pub(crate) signature: Option<Result<String, String>>,
}

fn checkpoint(row: &PgRow, tree: &Tree, key: Option<&PublicKey>) -> Result<Checkpoint, sqlx::Error> {
    let note: String = row.try_get(3)?;
    let batches = row.try_get::<i64, _>(2)?.cast_unsigned();
    let signature = key.map(|key| match tree.signed(key, &note) {
        Ok(size) if size == batches => Ok(key.name().to_owned()),
        Ok(size) => Err(format!("the note covers {size} batches, and the row states {batches}")),
        Err(error) => Err(error.to_string()),
    });
    Ok(Checkpoint { id: row.try_get(0)?, created_at: row.try_get(1)?, batches, note, signature })
}

/// Reads the newest checkpoints, or one by its number.
pub(crate) async fn checkpoints(site: &Site, id: Option<i64>) -> Result<Vec<Checkpoint>, Refusal> {
    let sql = "SELECT id, created_at, tree_size, note FROM audit_checkpoints WHERE $1::bigint IS NULL OR id = $1 ORDER BY id DESC LIMIT $2";
    let rows = sqlx::query(sql).bind(id).bind(PAGE).fetch_all(&site.pool).await?;
    // With the exchanges of keys that these checkpoints state.
    let tree = site.evidence.tree().await?;
    Ok(rows.iter().map(|row| checkpoint(row, &tree, site.evidence.key())).collect::<Result<_, _>>()?)
}
