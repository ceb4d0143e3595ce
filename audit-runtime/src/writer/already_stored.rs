//! Batches that the database has of a journal already, and the roles that may have put them there.
//!
//! A batch is believed to be stored only if the stored one is the same: another role may have
//! inserted a row at its place. An adopter asks for the stored batches once every transaction that
//! might still add one has ended. A lock of the journal's row in `audit_journals` (`audit_fence`)
//! shows that. Only roles that may use the journal can hold it.

use super::batch::Batch;
use super::orphan_plan::Stored;
use super::sql_literal::Bytea;
use crate::postgres::failure::{Conflict, Failure, describe};
use crate::seal::merkle::Hash;
use crate::seal::{Entry, Link};
use crate::sys::RateLimited;
use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, Row as _};
use std::time::Duration;
use uuid::Uuid;

/// The decision whether an adopter ships a journal.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Ship it, beside these batches.
    Stored(Vec<Stored>),
    /// Wait: a transaction that stores a batch of it is under way.
    UnderWay,
    /// Leave it to its role, for this reason.
    Refused(String),
}

/// A part of the stored batches of a journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// The batches that begin behind this position.
    pub(crate) behind: Option<u64>,
    /// As many as have about so many bytes, and at least one.
    pub(crate) most: usize,
}

impl Part {
    /// All of them.
    pub(crate) const ALL: Self = Self { behind: None, most: usize::MAX };
}

/// Checks that the occupied place of the batch contains this very batch.
///
/// # Errors
/// There is another one, or the database cannot be reached.
pub(super) async fn is_this(connection: &mut PgConnection, batch: &Batch) -> Result<(), sqlx::Error> {
    let root = batch.seal.as_ref().map(|seal| &seal.root.0[..]);
    // One message, for a pooler in transaction mode. The transaction before has failed.
    let sql = format!(
        "ROLLBACK; SELECT id = '{id}' AND end_position = {end} AND root IS NOT DISTINCT FROM {root}::bytea, \
         format('%s of %s, up to %s', id, origin, end_position) FROM audit_batches WHERE journal_id = '{journal}' AND first_position = {first}",
        id = batch.id,
        end = batch.end,
        root = Bytea(root),
        journal = batch.journal_id,
        first = batch.first,
    );
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    let found = match rows.first() {
        Some(row) if row.try_get::<Option<bool>, _>(0)? == Some(true) => return Ok(()),
        Some(row) => row.try_get(1)?,
        None => format!("batch {} is stored elsewhere", batch.id),
    };
    Err(Conflict { journal: batch.journal_id, first: batch.first, found }.into())
}

/// The batches of a journal that are stored, once every transaction that might still add one has
/// ended.
///
/// Of those that end behind `start`, where the journal's records begin, the ids of their events are
/// read too.
pub(super) async fn claim(
    connection: &mut PgConnection,
    journal_id: Uuid,
    start: u64,
    part: Part,
) -> Result<Claim, sqlx::Error> {
    match is_quiet(connection, journal_id).await {
        Ok(true) => {}
        Ok(false) => return Ok(Claim::UnderWay),
        Err(error) if Failure::of(&error) == Failure::OfAnotherRole => {
            connection.execute("ROLLBACK").await?;
            return Ok(Claim::Refused(describe(&error)));
        }
        Err(error) => return Err(error),
    }
    // A simple query, one message: a pooler in transaction mode may answer each of several from
    // another connection.
    let behind = part.behind.map_or_else(String::new, |behind| format!(" AND first_position > {behind}"));
    let most = i64::try_from(part.most).unwrap_or(i64::MAX);
    // The sizes are known without reading the values.
    let batches = format!(
        "SELECT b.first_position, b.end_position, b.root, b.open_positions, CASE WHEN b.end_position > {start} THEN b.leaves END \
         FROM (SELECT first_position, sum(bytes) OVER (ORDER BY first_position) - bytes AS before FROM \
         (SELECT first_position, 200 + coalesce(octet_length(open_positions), 0)::bigint * 3 + rows::bigint * 16 AS bytes \
         FROM audit_batches WHERE journal_id = '{journal_id}'{behind}) sized) p \
         JOIN audit_batches b ON b.journal_id = '{journal_id}' AND b.first_position = p.first_position \
         WHERE p.before < {most} ORDER BY b.first_position"
    );
    let mut rows = connection.fetch(sqlx::raw_sql(AssertSqlSafe(batches)));
    let mut stored = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let root: Option<Vec<u8>> = row.try_get(2)?;
        let leaves: Option<Vec<u8>> = row.try_get(4)?;
        let ids = leaves.map(|leaves| {
            let mut ids: Vec<Uuid> = Entry::all(&leaves).map(|entry| entry.id).collect();
            ids.sort_unstable();
            ids
        });
        stored.push(Stored {
            first: row.try_get::<i64, _>(0)?.cast_unsigned(),
            end: row.try_get::<i64, _>(1)?.cast_unsigned(),
            root: root.and_then(|root| root.try_into().ok()).map(Hash),
            open: positions(&row.try_get::<Option<Vec<u8>>, _>(3)?.unwrap_or_default()),
            ids,
        });
    }
    Ok(Claim::Stored(stored))
}

/// Returns the origin of a journal's batches, if one is stored.
#[cfg(feature = "nats")]
pub(super) async fn origin(connection: &mut PgConnection, journal_id: Uuid) -> Result<Option<String>, sqlx::Error> {
    // A batch of interruptions has the origin of its journal, too, if an adopter made it.
    let sql =
        format!("SELECT origin FROM audit_batches WHERE journal_id = '{journal_id}' ORDER BY first_position LIMIT 1");
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

/// Returns the last batch of a journal as the next one names it, and the position behind it.
pub(super) async fn last(connection: &mut PgConnection, journal_id: Uuid) -> Result<(Option<Link>, u64), sqlx::Error> {
    let sql = format!(
        "SELECT first_position, end_position, root FROM audit_batches WHERE journal_id = '{journal_id}' \
         ORDER BY first_position DESC LIMIT 1"
    );
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    let Some(row) = rows.first() else { return Ok((None, 0)) };
    let root: Option<Vec<u8>> = row.try_get(2)?;
    let first = row.try_get::<i64, _>(0)?.cast_unsigned();
    let link = root.and_then(|root| root.try_into().ok()).map(|root| Link { first, root: Hash(root) });
    Ok((link, row.try_get::<i64, _>(1)?.cast_unsigned()))
}

/// Whether every transaction that stores a batch of the journal has ended.
async fn is_quiet(connection: &mut PgConnection, journal_id: Uuid) -> Result<bool, sqlx::Error> {
    let fence = format!("BEGIN; SELECT audit_fence('{journal_id}'); COMMIT");
    let answers = match connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(fence))).await {
        // A schema of version 4, or a role that was granted less than `migrate --writer` grants:
        // every batch holds an advisory lock, too.
        Err(error) if matches!(Failure::of(&error), Failure::SchemaMissing | Failure::NotAllowed) => {
            let key = advisory_key(journal_id);
            let fence = format!("ROLLBACK; BEGIN; SELECT pg_try_advisory_xact_lock({key}); COMMIT");
            connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(fence))).await?
        }
        answers => answers?,
    };
    Ok(answers.first().is_some_and(|answer| answer.try_get(0).unwrap_or(false)))
}

fn positions(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().copied().map(u64::from_be_bytes).collect()
}

/// The advisory lock by which adopters of version 4 know that a transaction is under way.
pub(super) fn advisory_key(journal_id: Uuid) -> i64 {
    let (high, low) = journal_id.as_u64_pair();
    (high ^ low).cast_signed()
}

/// Names the session that holds a journal's advisory lock, which every role may take. The journal's
/// process lives, so none of its adopters can be that session. The batch continues, because the
/// journal's row is the fence.
///
/// # Errors
/// The schema is of version 4, where the lock has to be waited for, or the database cannot be
/// reached.
pub(super) async fn is_held(connection: &mut PgConnection, journal_id: Uuid) -> Result<(), sqlx::Error> {
    static WARNED: RateLimited = RateLimited::every(Duration::from_secs(30));
    let key = advisory_key(journal_id);
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'audit_batches'::regclass AND tgname = 'audit_batches_of_role' \
         AND tgenabled IN ('O', 'A')), (SELECT string_agg(format('pid %s, role %s', l.pid, coalesce(a.usename, '?')), '; ') \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted \
         AND l.mode = 'ExclusiveLock' AND l.objsubid = 1 AND (l.classid::bigint << 32) | l.objid::bigint = {key})"
    );
    let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    let holder = row.try_get::<Option<String>, _>(1)?.unwrap_or_else(|| "a session that has ended since".into());
    if row.try_get(0)? {
        WARNED.warn(|suppressed| {
            tracing::warn!(journal = %journal_id, holder, suppressed, "another session holds the advisory lock of this journal; batches are stored all the same");
        });
        return Ok(());
    }
    let text = format!(
        "another session holds the advisory lock of journal {journal_id}: {holder}; end that session, or call audit_runtime::migrate"
    );
    Err(sqlx::Error::AnyDriverError(text.into()))
}
