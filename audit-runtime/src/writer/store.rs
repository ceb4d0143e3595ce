//! One batch into PostgreSQL, exactly once.
//!
//! The batch's row in `audit_batches` is inserted first: if it is there already, an earlier attempt whose answer was
//! lost had succeeded, and if such an attempt is still under way, the unique index waits for its end. So an attempt
//! can be repeated as often as needed.
//!
//! A transaction of a process that died can still be under way too, and the adopter of its journal may cut other
//! batches. Therefore each transaction holds the journal's advisory lock, shared, and the adopter waits for it,
//! exclusively, before it asks which ranges are stored ([`stored_batches`]).

use super::batch::{Batch, Row, Stored};
use super::copy::{self, CopyRows};
use super::failure::{Failure, Swallowed};
use crate::core::Settings;
use crate::evidence::merkle::Hash;
use crate::evidence::seal;
use crate::payload::EventRef;
use crate::timestamp::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, Row as _};
use std::fmt::{self, Write};
use std::io;
use std::ops::Range;
use std::time::Duration;
use uuid::Uuid;

/// In place of what a role or a database has for its interactive queries: a batch may take longer, and is given up by the
/// server before this side does.
const STATEMENT_TIMEOUT: &str = "50s";
/// A lock on the tables that is not given back is reported, not waited for in silence.
const LOCK_TIMEOUT: &str = "10s";
/// A server that hears nothing of its client holds what that has locked for two hours, by default. These seconds are 5 + 3 * 2.
const KEEPALIVE: &str =
    "SET LOCAL tcp_keepalives_idle TO 5; SET LOCAL tcp_keepalives_interval TO 2; SET LOCAL tcp_keepalives_count TO 3; ";
/// A batch begins within this time, or its connection is lost: by a firewall that has forgotten it, say, between two batches.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(15);

const UNIQUE_VIOLATION: &str = "23505";

/// A row that PostgreSQL or the decoder refused.
struct Refused {
    at: usize,
    sqlstate: Option<String>,
    error: String,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// PostgreSQL has it, so many of its rows in the quarantine.
    Stored { quarantined: u64 },
    /// A call that was taken for interrupted has ended after all, in a transaction that was still open. Nothing was stored.
    Overtaken,
}

/// Stores a batch.
///
/// # Errors
/// The batch is not stored, or it is not known whether it is. The connection is not to be used again.
pub(crate) async fn store(
    connection: &mut PgConnection,
    batch: &Batch,
    settings: &Settings,
    sets_keepalives: bool,
) -> Result<Done, sqlx::Error> {
    const STORED: Done = Done::Stored { quarantined: 0 };
    if !begin(connection, batch, settings, sets_keepalives).await? {
        return Ok(STORED);
    }
    let refused = match copy(connection, batch, 0..batch.rows.len()).await {
        Err(error) if Failure::of(&error) == Failure::RowRefused => {
            connection.execute("ROLLBACK").await?;
            if !begin(connection, batch, settings, sets_keepalives).await? {
                return Ok(STORED);
            }
            isolate(connection, batch).await?
        }
        copied => copied?,
    };
    let is_overtaken =
        |row: &Refused| matches!(batch.rows[row.at], Row::Made(_)) && row.sqlstate.as_deref() == Some(UNIQUE_VIOLATION);
    if refused.iter().any(is_overtaken) {
        connection.execute("ROLLBACK").await?;
        return Ok(Done::Overtaken);
    }
    let quarantined = quarantine(connection, batch, refused).await?;
    connection.execute("COMMIT").await?;
    Ok(Done::Stored { quarantined })
}

/// Opens the transaction and inserts the batch's row; `false` if the batch is stored already.
async fn begin(
    connection: &mut PgConnection,
    batch: &Batch,
    settings: &Settings,
    sets_keepalives: bool,
) -> Result<bool, sqlx::Error> {
    let seal = batch.seal.as_ref();
    let previous = seal.and_then(|seal| seal.previous);
    // One message, one round trip. Every value is a number, a UUID, or quoted here.
    let leaves = seal.map(|seal| &seal.leaves[..]);
    let mut sql = String::with_capacity(1024 + 2 * leaves.map_or(0, <[u8]>::len));
    let _ = write!(
        sql,
        "BEGIN; SET LOCAL synchronous_commit TO {commit}; SET LOCAL statement_timeout TO '{STATEMENT_TIMEOUT}'; \
         SET LOCAL lock_timeout TO '{LOCK_TIMEOUT}'; SET LOCAL idle_in_transaction_session_timeout TO '{STATEMENT_TIMEOUT}'; {keepalive}SELECT pg_advisory_xact_lock_shared({lock}); \
         INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, first_event_at, last_event_at, \
         previous_position, previous_root, open_positions, root, leaves) VALUES ('{id}', '{journal}', {first}, {end}, {rows}, {origin}, \
         {first_event}, {last_event}, {previous_position}, {previous_root}, {open}, {root}, {leaves})",
        commit = if settings.synchronous_commit { "on" } else { "off" },
        keepalive = if sets_keepalives { KEEPALIVE } else { "" },
        lock = advisory_key(batch.journal_id),
        id = batch.id,
        journal = batch.journal_id,
        first = batch.first,
        end = batch.end,
        rows = batch.rows.len(),
        origin = quoted(&settings.origin),
        first_event = time(batch.times.map(|(first, _)| first)),
        last_event = time(batch.times.map(|(_, last)| last)),
        previous_position = previous.map_or_else(|| "NULL".into(), |link| link.first.to_string()),
        previous_root = Bytea(previous.as_ref().map(|link| &link.root.0[..])),
        open = Bytea(seal.map(|seal| &seal.open[..]).filter(|open| !open.is_empty())),
        root = Bytea(seal.map(|seal| &seal.root.0[..])),
        leaves = Bytea(leaves),
    );
    let begun = tokio::time::timeout(BEGIN_TIMEOUT, connection.execute(sqlx::raw_sql(AssertSqlSafe(sql)))).await;
    let Err(error) = begun.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))? else {
        return Ok(true);
    };
    let duplicate = error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.table() == Some("audit_batches"));
    if !duplicate {
        return Err(error);
    }
    connection.execute("ROLLBACK").await?;
    Ok(false)
}

/// Microseconds since 1970 as an SQL expression, within the years that both sides write alike. An event may say any time; its batch is
/// found all the same.
fn time(micros: Option<i64>) -> String {
    let time = micros.map(|micros| Timestamp::from_unix_micros(micros).clamp(Timestamp::YEAR_1, Timestamp::YEAR_9999));
    time.map_or_else(|| "NULL".into(), |time| format!("'{time}'"))
}

/// A text as an SQL literal, whatever `standard_conforming_strings` is.
fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\0', "\u{fffd}").replace('\\', "\\\\").replace('\'', "''"))
}

/// Bytes as an SQL literal.
struct Bytea<'a>(Option<&'a [u8]>);

impl fmt::Display for Bytea<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else {
            return f.write_str("NULL");
        };
        f.write_str("'\\x")?;
        // `hex::encode` goes character by character: five times as long, and a batch has 48 bytes a row.
        let mut digits = [0; 512];
        for bytes in bytes.chunks(digits.len() / 2) {
            let digits = &mut digits[..bytes.len() * 2];
            let _ = hex::encode_to_slice(bytes, digits);
            f.write_str(std::str::from_utf8(digits).unwrap_or_default())?;
        }
        f.write_str("'")
    }
}

/// Copies a range of the batch's rows. Rows that are no events are left out and returned.
async fn copy(connection: &mut PgConnection, batch: &Batch, range: Range<usize>) -> Result<Vec<Refused>, sqlx::Error> {
    let undecoded = batch.undecoded.iter().filter(|(at, _)| range.contains(at));
    let refused: Vec<_> =
        undecoded.map(|(at, error)| Refused { at: *at, sqlstate: None, error: error.to_string() }).collect();
    let copied = send(connection, batch.encoded.bytes(range.clone())).await?;
    let expected = (range.len() - refused.len()) as u64;
    if copied == expected { Ok(refused) } else { Err(Swallowed.into()) }
}

/// Stores a single row, in the transaction of the caller's.
pub(crate) async fn store_one(
    connection: &mut PgConnection,
    event: &EventRef<'_>,
    batch_id: Uuid,
) -> Result<(), sqlx::Error> {
    let mut row = CopyRows::default();
    row.row(event, batch_id);
    if send(connection, row.bytes(0..1)).await? == 1 { Ok(()) } else { Err(Swallowed.into()) }
}

async fn send(connection: &mut PgConnection, rows: &[u8]) -> Result<u64, sqlx::Error> {
    let mut copy = connection.copy_in_raw(copy::STATEMENT).await?;
    for part in [copy::HEADER, rows, copy::TRAILER] {
        copy.send(part).await?;
    }
    copy.finish().await
}

/// Copies what PostgreSQL takes, halving what it does not until single rows are left.
async fn isolate(connection: &mut PgConnection, batch: &Batch) -> Result<Vec<Refused>, sqlx::Error> {
    let mut refused = Vec::new();
    let mut parts = vec![(0, batch.rows.len())];
    while let Some((begin, end)) = parts.pop() {
        connection.execute("SAVEPOINT audit_rows").await?;
        match copy(connection, batch, begin..end).await {
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

/// Keeps refused rows; returns how many.
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

/// The batches of a journal that are stored, once every transaction that might still add one has ended; `None` if one is under way.
pub(crate) async fn stored_batches(
    connection: &mut PgConnection,
    journal_id: Uuid,
) -> Result<Option<Vec<Stored>>, sqlx::Error> {
    let fence = format!("BEGIN; SELECT pg_try_advisory_xact_lock({}); COMMIT", advisory_key(journal_id));
    let answers = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(fence))).await?;
    if !answers.first().is_some_and(|answer| answer.try_get(0).unwrap_or(false)) {
        return Ok(None);
    }
    // A simple query, one message: a pooler in transaction mode may answer each of several from another connection.
    let batches = format!(
        "SELECT first_position, end_position, root, open_positions FROM audit_batches WHERE journal_id = '{journal_id}' \
         ORDER BY first_position"
    );
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(batches))).await?;
    let stored = rows
        .iter()
        .map(|row| {
            let root: Option<Vec<u8>> = row.try_get(2)?;
            Ok(Stored {
                first: row.try_get::<i64, _>(0)?.cast_unsigned(),
                end: row.try_get::<i64, _>(1)?.cast_unsigned(),
                root: root.and_then(|root| root.try_into().ok()).map(Hash),
                open: positions(&row.try_get::<Option<Vec<u8>>, _>(3)?.unwrap_or_default()),
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    Ok(Some(stored))
}

fn positions(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().copied().map(u64::from_be_bytes).collect()
}

fn advisory_key(journal_id: Uuid) -> i64 {
    let (high, low) = journal_id.as_u64_pair();
    (high ^ low).cast_signed()
}
