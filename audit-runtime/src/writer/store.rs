//! One batch into PostgreSQL, exactly once.
//!
//! The batch's row in `audit_batches` is inserted first. If it exists already, an earlier attempt
//! whose answer was lost had succeeded. If such an attempt is still under way, the unique index
//! waits for its end. So an attempt can be repeated as often as needed. A row that is not this
//! batch's ([`stored`](super::stored)) is an error.
//!
//! A transaction of a process that died can still be under way too, and the adopter of its journal
//! may cut other batches. Therefore a trigger has each transaction hold its journal's row in
//! `audit_journals`, and the adopter locks that before it asks which ranges are stored. (An adopter
//! of an older version asks for an advisory lock in its place, which is held here for its sake.)

use super::already_stored::{self, advisory_key};
use super::batch::Batch;
use super::sql_literal::{Bytea, quoted, time};
use crate::postgres::copy;
use crate::postgres::failure::{Failure, Swallowed};
use crate::record::EventRef;
use crate::seal::{self, LeafForm};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, Row as _};
use std::collections::HashSet;
use std::fmt::Write;
use std::io;
use std::ops::Range;
use std::time::Duration;
use uuid::Uuid;

/// In place of the limits of a role or a database for its interactive queries. A batch may take
/// longer, and the server abandons it before this side does.
const STATEMENT_TIMEOUT: &str = "50s";
/// A lock on the tables that is not given back is reported, not waited for in silence.
const LOCK_TIMEOUT: &str = "10s";
/// A server that hears nothing of its client holds what that has locked for two hours, by default.
/// These seconds are 5 + 3 * 2. Where the client does not acknowledge the server's data, the last
/// one counts.
const KEEPALIVE: &str = "SET LOCAL tcp_keepalives_idle TO 5; SET LOCAL tcp_keepalives_interval TO 2; SET LOCAL tcp_keepalives_count TO 3; \
                         SET LOCAL tcp_user_timeout TO 11000; ";
/// A batch begins within this time, or its connection is lost, for example to a firewall that has
/// forgotten it between two batches.
pub(super) const BEGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Has the commit wait for the server's disk, and for a synchronous standby. A setting of the role or
/// the database that waits for a standby in its own way (`remote_write`, `remote_apply`) stays.
const WAITING: &str = "set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') \
                       THEN 'on' ELSE current_setting('synchronous_commit') END, true)";
const NOT_WAITING: &str = "set_config('synchronous_commit', 'off', true)";

const UNIQUE_VIOLATION: &str = "23505";

/// A row that PostgreSQL or the decoder refused.
struct Refused {
    at: usize,
    sqlstate: Option<String>,
    error: String,
}

/// The result of an attempt to store a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreOutcome {
    /// PostgreSQL has it, and put so many of its rows into the quarantine now. `had`: it had the batch
    /// already.
    Stored { quarantined: u64, had: bool },
    /// A call that was taken for interrupted has ended after all, in a transaction that was still
    /// open. Nothing was stored.
    Superseded,
}

/// Stores a batch.
///
/// # Errors
/// The batch is not stored, or it is not known whether it is. The connection is not to be used
/// again.
pub(crate) async fn store(
    connection: &mut PgConnection,
    batch: &Batch,
    waits_for_disk: bool,
    sets_keepalives: bool,
) -> Result<StoreOutcome, sqlx::Error> {
    const HAD: StoreOutcome = StoreOutcome::Stored { quarantined: 0, had: true };
    if !begin(connection, batch, waits_for_disk, sets_keepalives).await? {
        return Ok(HAD);
    }
    let refused = match copy_rows(connection, batch, 0..batch.rows.len()).await {
        Err(error) if Failure::of(&error) == Failure::RowRefused => {
            connection.execute("ROLLBACK").await?;
            if !begin(connection, batch, waits_for_disk, sets_keepalives).await? {
                return Ok(HAD);
            }
            isolate(connection, batch).await?
        }
        copied => copied?,
    };
    let is_superseded = |row: &Refused| row.sqlstate.as_deref() == Some(UNIQUE_VIOLATION);
    if batch.interruptions.is_some() && refused.iter().any(is_superseded) {
        connection.execute("ROLLBACK").await?;
        return Ok(StoreOutcome::Superseded);
    }
    let quarantined = quarantine(connection, batch, refused).await?;
    connection.execute("COMMIT").await?;
    Ok(StoreOutcome::Stored { quarantined, had: false })
}

/// Returns the expression that sets whether a commit waits for the disk of the server.
pub(super) fn waiting(waits_for_disk: bool) -> &'static str {
    if waits_for_disk { WAITING } else { NOT_WAITING }
}

/// Returns the statements that open a transaction for batches.
pub(super) fn opening(sets_keepalives: bool) -> String {
    format!(
        "BEGIN; SET LOCAL statement_timeout TO '{STATEMENT_TIMEOUT}'; \
         SET LOCAL lock_timeout TO '{LOCK_TIMEOUT}'; SET LOCAL idle_in_transaction_session_timeout TO '{STATEMENT_TIMEOUT}'; {keepalive}",
        keepalive = if sets_keepalives { KEEPALIVE } else { "" },
    )
}

/// Adds the statement that inserts a batch's row. Every value is a number, a UUID, or quoted here.
pub(super) fn insert(sql: &mut String, batch: &Batch) {
    let seal = batch.seal.as_ref();
    let previous = seal.and_then(|seal| seal.previous);
    let leaves = seal.map(|seal| &seal.leaves[..]);
    // The column's default is the first form.
    let form = seal.map(|seal| seal.form).filter(|form| *form != LeafForm::FIRST);
    sql.reserve(1024 + 2 * leaves.map_or(0, <[u8]>::len));
    let _ = write!(
        sql,
        "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, first_event_at, last_event_at, \
         previous_position, previous_root, open_positions, root, leaves{form_column}) VALUES ('{id}', '{journal}', {first}, {end}, {rows}, {origin}, \
         {first_event}, {last_event}, {previous_position}, {previous_root}, {open}, {root}, {leaves}{form})",
        id = batch.id,
        journal = batch.journal_id,
        first = batch.first,
        end = batch.end,
        rows = batch.rows.len(),
        origin = quoted(batch.cut.as_ref().map_or("", |cut| &cut.origin)),
        first_event = time(batch.times.map(|(first, _)| first)),
        last_event = time(batch.times.map(|(_, last)| last)),
        previous_position = previous.map_or_else(|| "NULL".into(), |link| link.first.to_string()),
        previous_root = Bytea(previous.as_ref().map(|link| &link.root.0[..])),
        open = Bytea(seal.map(|seal| &seal.open[..]).filter(|open| !open.is_empty())),
        root = Bytea(seal.map(|seal| &seal.root.0[..])),
        leaves = Bytea(leaves),
        form_column = if form.is_some() { ", leaf_form" } else { "" },
        form = form.map_or_else(String::new, |form| format!(", {}", form.0)),
    );
}

/// Opens the transaction and inserts the batch's row, or returns `false` if the batch is stored
/// already.
async fn begin(
    connection: &mut PgConnection,
    batch: &Batch,
    waits_for_disk: bool,
    sets_keepalives: bool,
) -> Result<bool, sqlx::Error> {
    // One message, one round trip.
    let (mut sql, lock) = (opening(sets_keepalives), advisory_key(batch.journal_id));
    let _ = write!(sql, "SELECT pg_try_advisory_xact_lock_shared({lock}), {}; ", waiting(waits_for_disk));
    insert(&mut sql, batch);
    let begun = tokio::time::timeout(BEGIN_TIMEOUT, connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)))).await;
    let error = match begun.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))? {
        Ok(answers) if answers.first().is_some_and(|answer| answer.try_get(0).unwrap_or(true)) => return Ok(true),
        Ok(_) => {
            already_stored::is_held(connection, batch.journal_id).await?;
            return Ok(true);
        }
        Err(error) => error,
    };
    let duplicate = error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.table() == Some("audit_batches"));
    if !duplicate {
        return Err(error);
    }
    already_stored::is_this(connection, batch).await?;
    Ok(false)
}

/// Copies a range of the batch's rows. Rows that do not decode as events are left out and returned.
async fn copy_rows(
    connection: &mut PgConnection,
    batch: &Batch,
    range: Range<usize>,
) -> Result<Vec<Refused>, sqlx::Error> {
    let undecoded = batch.undecoded.iter().filter(|(at, _)| range.contains(at));
    let refused: Vec<_> =
        undecoded.map(|(at, error)| Refused { at: *at, sqlstate: None, error: error.to_string() }).collect();
    let copied =
        copy::send(connection, batch.encoded.columns().statement(), batch.encoded.bytes(range.clone())).await?;
    let expected = (range.len() - refused.len()) as u64;
    if copied == expected { Ok(refused) } else { Err(Swallowed.into()) }
}

/// Copies what PostgreSQL takes, halving what it does not until single rows are left.
async fn isolate(connection: &mut PgConnection, batch: &Batch) -> Result<Vec<Refused>, sqlx::Error> {
    let mut refused = Vec::new();
    let mut parts = vec![(0, batch.rows.len())];
    while let Some((begin, end)) = parts.pop() {
        connection.execute("SAVEPOINT audit_rows").await?;
        match copy_rows(connection, batch, begin..end).await {
            Ok(undecoded) => {
                refused.extend(undecoded);
                connection.execute("RELEASE SAVEPOINT audit_rows").await?;
            }
            Err(error) if Failure::of(&error) == Failure::RowRefused => {
                connection.execute("ROLLBACK TO SAVEPOINT audit_rows").await?;
                connection.execute("RELEASE SAVEPOINT audit_rows").await?;
                if end - begin == 1 {
                    let sqlstate = error.as_database_error().and_then(|error| error.code()).map(Into::into);
                    refused.push(Refused { at: begin, sqlstate, error: error.to_string() });
                } else {
                    let middle = begin.midpoint(end);
                    parts.push((middle, end));
                    parts.push((begin, middle));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// Keeps refused rows, and returns how many.
async fn quarantine(connection: &mut PgConnection, batch: &Batch, refused: Vec<Refused>) -> Result<u64, sqlx::Error> {
    let (mut quarantined, mut json) = (0, Vec::new());
    for row in refused {
        quarantined += 1;
        let payload = batch.rows[row.at].payload();
        let event = EventRef::decode(payload, &mut json);
        let id = event.map_or_else(|_| seal::payload_entry(None, payload).id, |event| event.id);
        tracing::warn!(%id, batch = %batch.id, error = row.error, "PostgreSQL refuses an event; it is kept in audit_quarantine");
        sqlx::query(
            "INSERT INTO audit_quarantine (id, batch_id, sqlstate, error, payload) VALUES ($1, $2, $3, $4, $5)",
        )
        .persistent(false)
        .bind(id)
        .bind(batch.id)
        .bind(row.sqlstate)
        .bind(row.error.replace('\0', "\u{fffd}"))
        .bind(payload)
        .execute(&mut *connection)
        .await?;
    }
    Ok(quarantined)
}

/// Waits until the committed batches are on the disk of the server, and returns which of these it
/// has then. A server that crashed meanwhile may have lost some, and a pooler would not report it.
pub(super) async fn durable(
    connection: &mut PgConnection,
    batches: &[(Uuid, u64)],
) -> Result<HashSet<(Uuid, u64)>, sqlx::Error> {
    // A transaction that writes nothing would not wait for those before.
    let flush = format!("BEGIN; SELECT {WAITING}; SELECT pg_logical_emit_message(true, 'audit', 'shipped'); COMMIT");
    if batches.is_empty() {
        return Ok(HashSet::new());
    }
    connection.execute(sqlx::raw_sql(AssertSqlSafe(flush))).await?;
    let keys: Vec<String> = batches.iter().map(|(journal, first)| format!("('{journal}', {first})")).collect();
    let sql = format!(
        "SELECT journal_id, first_position FROM audit_batches WHERE (journal_id, first_position) IN ({})",
        keys.join(", ")
    );
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)?.cast_unsigned()))).collect()
}
