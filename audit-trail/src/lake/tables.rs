//! The smaller tables of a lake: checkpoints and their time stamps, accounts of prunes, the catalogue.

use super::event::Fields;
use super::manifest::{Content, FileEntry};
use super::store::Store;
use super::table::{CATALOGUE, CHECKPOINTS, PRUNED, TIMESTAMPS};
use super::time::Split;
use super::write::{Value, Writer};
use super::{parquet, placed};
use crate::failure::Failure;
use audit_runtime::__private::detached;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

fn entry(content: Content, path: String) -> FileEntry {
    FileEntry { path, content, bytes: 0, rows: 0, sha256: String::new(), batches: None, times: None, ids: None }
}

fn malformed() -> Failure {
    Failure::Other("a row of the database is not of the type that this program knows".into())
}

/// Writes the checkpoints behind one, up to another one.
pub(super) async fn checkpoints(
    connection: &mut PgConnection,
    store: &Store,
    lake: &str,
    (behind, to): (i64, i64),
) -> Result<FileEntry, Failure> {
    let mut writer = Writer::new(CHECKPOINTS, lake).map_err(parquet)?;
    let query = format!(
        "SELECT id, tree_size, note, frontier, created_at FROM audit_checkpoints WHERE id > {behind} AND id <= {to} ORDER BY id"
    );
    detached::rows(connection, &query, |row| {
        let fields = Fields::new(row);
        let created = Split::new(fields.time(4));
        let int = |field| fields.i64(field).map(Value::Int).ok_or_else(malformed);
        let bytes = |field| fields.get(field).map(Value::Bytes).ok_or_else(malformed);
        let row = [int(0)?, int(1)?, bytes(2)?, bytes(3)?, created.values()[0]];
        writer.push(&row).map_err(parquet)
    })
    .await?;
    let written = writer.end().map_err(parquet)?;
    placed(store, entry(Content::Checkpoints, format!("checkpoints/{behind:010}-{to:010}")), written).await
}

/// Writes the time stamps of checkpoints behind one, up to another one, if there are any, and returns
/// the last of these checkpoints, too.
///
/// A time stamp that was stored once the lake had those of a later checkpoint stays out: the later one
/// proves the same rows.
pub(super) async fn timestamps(
    connection: &mut PgConnection,
    store: &Store,
    lake: &str,
    (behind, to): (i64, i64),
) -> Result<Option<(FileEntry, i64)>, Failure> {
    if !detached::has_time_stamps(connection).await? {
        return Ok(None);
    }
    let mut writer = Writer::new(TIMESTAMPS, lake).map_err(parquet)?;
    let query = format!(
        "SELECT checkpoint_id, authority, token, created_at FROM audit_timestamps WHERE checkpoint_id > {behind} AND checkpoint_id <= {to} \
         ORDER BY checkpoint_id, created_at, authority"
    );
    let mut last = None;
    detached::rows(connection, &query, |row| {
        let fields = Fields::new(row);
        let created = Split::new(fields.time(3));
        let bytes = |field| fields.get(field).map(Value::Bytes).ok_or_else(malformed);
        let id = fields.i64(0).ok_or_else(malformed)?;
        last = Some(id);
        writer.push(&[Value::Int(id), bytes(1)?, bytes(2)?, created.values()[0]]).map_err(parquet)
    })
    .await?;
    let Some(last) = last else { return Ok(None) };
    let path = format!("timestamps/{behind:010}-{last:010}");
    let file = placed(store, entry(Content::Timestamps, path), writer.end().map_err(parquet)?).await?;
    Ok(Some((file, last)))
}

/// Writes the accounts of prunes that the lake lacks, if there are any, and notes their events.
pub(super) async fn prunes(
    connection: &mut PgConnection,
    store: &Store,
    lake: &str,
    known: &mut Vec<Uuid>,
) -> Result<Option<FileEntry>, Failure> {
    let query = "SELECT DISTINCT event_id FROM audit_pruned WHERE event_id <> ALL ($1) ORDER BY event_id";
    let new: Vec<Uuid> = sqlx::query_scalar(query).bind(&known[..]).fetch_all(&mut *connection).await?;
    let Some(first) = new.first() else { return Ok(None) };
    let path = format!("pruned/{first}");
    let ids: Vec<String> = new.iter().map(|id| format!("'{id}'")).collect();
    let query = format!(
        "SELECT event_id, batch_id, rows, ids FROM audit_pruned WHERE event_id IN ({}) ORDER BY event_id, batch_id",
        ids.join(", ")
    );
    let mut writer = Writer::new(PRUNED, lake).map_err(parquet)?;
    detached::rows(connection, &query, |row| {
        let fields = Fields::new(row);
        let uuid = |field| fields.uuid(field).map(|id| id.to_string()).ok_or_else(malformed);
        let (event, batch) = (uuid(0)?, uuid(1)?);
        let rows = fields.i32(2).ok_or_else(malformed)?;
        let row = [Value::text(&event), Value::text(&batch), Value::Int(rows.into()), Value::optional(fields.get(3))];
        writer.push(&row).map_err(parquet)
    })
    .await?;
    known.extend(new);
    let written = writer.end().map_err(parquet)?;
    placed(store, entry(Content::Pruned, path), written).await.map(Some)
}

/// Writes the catalogue, unless the lake has it as it is, and returns its hash, too.
pub(super) async fn catalogue(
    connection: &mut PgConnection,
    store: &Store,
    lake: &str,
    known: Option<&str>,
) -> Result<Option<(FileEntry, String)>, Failure> {
    let mut hash = Sha256::new();
    let mut writer = Writer::new(CATALOGUE, lake).map_err(parquet)?;
    let query = "SELECT service, version, digest, functions::text, origin, first_seen_at FROM audit_catalogue \
                 ORDER BY service, version, digest";
    let mut rows = 0;
    detached::rows(connection, query, |row| {
        hash.update(row);
        rows += 1;
        let fields = Fields::new(row);
        let bytes = |field| fields.get(field).map(Value::Bytes).ok_or_else(malformed);
        let seen = Split::new(fields.time(5));
        let row = [bytes(0)?, bytes(1)?, bytes(2)?, bytes(3)?, bytes(4)?, seen.values()[0]];
        writer.push(&row).map_err(parquet)
    })
    .await?;
    let hash = hex::encode(hash.finalize());
    if rows == 0 || known == Some(&hash) {
        return Ok(None);
    }
    let written = writer.end().map_err(parquet)?;
    let file = placed(store, entry(Content::Catalogue, "catalogue/all".to_owned()), written).await?;
    Ok(Some((file, hash)))
}
