//! Rows that came without a batch: of other systems, of INSERTs by hand, of `tx`. They are sealed afterwards, in batches of a journal
//! whose id is zero; which of them seals a row is said in `audit_late`, so that no row is changed for it.

use super::copy_out;
use super::seal::{Link, Seal, Sealer};
use super::{EvidenceError, Reach};
use crate::evidence::merkle::Hash;
use crate::{clock, ids};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row as _};
use uuid::Uuid;

/// The journal of batches that were sealed late.
pub(crate) const JOURNAL: Uuid = Uuid::nil();

/// The most rows of such a batch.
const ROWS: usize = 5_000;

/// The columns that are sealed, in their order.
pub(crate) const COLUMNS: &str = "e.id, e.event_type, e.entity_type, e.entity_id, e.actor, e.data, e.created_at, e.outcome, \
     e.duration_us, e.correlation_id, e.causation_id, e.context, e.origin";

/// Rows that no batch has sealed.
pub(crate) const UNSEALED: &str = "e.batch_id IS NULL AND NOT EXISTS \
     (SELECT FROM audit_late l WHERE l.event_id = e.id AND l.created_at = e.created_at)";

/// Rows that are to be sealed.
#[derive(Default)]
struct Found {
    leaves: Vec<u8>,
    /// Of each, its id and its time as PostgreSQL has it.
    members: Vec<(Uuid, i64)>,
    /// The first time and the last, as PostgreSQL writes them.
    times: Option<(String, String)>,
}

/// Seals what was not; returns how many rows that were.
pub(crate) async fn seal(connection: &mut PgConnection, reach: Reach) -> Result<u64, EvidenceError> {
    let (mut sealed, mut behind) = (0, None::<String>);
    loop {
        // Each batch is a transaction of its own: there may be millions of such rows.
        let mut transaction = connection.begin().await?;
        transaction.execute(super::LOCK).await?;
        let found = find(&mut transaction, reach, behind.as_deref()).await?;
        let Some((_, last)) = &found.times else {
            return Ok(sealed);
        };
        let rows = found.members.len() as u64;
        behind = Some(last.clone());
        insert(&mut transaction, found).await?;
        transaction.commit().await?;
        sealed += rows;
        // What arrives meanwhile is for the next time: others may never stop.
        if rows < ROWS as u64 {
            return Ok(sealed);
        }
    }
}

/// The next rows in the order of their times, from that one on.
async fn find(connection: &mut PgConnection, reach: Reach, from: Option<&str>) -> Result<Found, EvidenceError> {
    let from = from.map_or_else(String::new, |from| format!(" AND e.created_at >= timestamptz '{from}'"));
    let query = format!(
        "SELECT {COLUMNS}, e.created_at::text FROM audit_events e WHERE {UNSEALED}{}{from} ORDER BY e.created_at, e.id LIMIT {ROWS}",
        reach.condition("e.created_at")
    );
    let (mut found, mut sealer) = (Found::default(), Sealer::default());
    copy_out::rows(connection, &query, |row| {
        let entry = sealer.stored(row.0);
        found.leaves.extend(entry.to_bytes());
        let mut fields = row.fields();
        for _ in 0..6 {
            fields.next()?;
        }
        found.members.push((entry.id, fields.i64()?));
        for _ in 7..13 {
            fields.next()?;
        }
        let time = String::from_utf8_lossy(fields.next()?.unwrap_or_default()).into_owned();
        match &mut found.times {
            Some((_, last)) => *last = time,
            none => *none = Some((time.clone(), time)),
        }
        Ok::<_, EvidenceError>(())
    })
    .await?;
    Ok(found)
}

async fn insert(connection: &mut PgConnection, found: Found) -> Result<(), EvidenceError> {
    let last = sqlx::query(
        "SELECT first_position, end_position, root FROM audit_batches WHERE journal_id = $1 ORDER BY first_position DESC LIMIT 1",
    )
    .bind(JOURNAL)
    .fetch_optional(&mut *connection)
    .await?;
    let (first, previous) = match last {
        None => (0, None),
        Some(row) => {
            let root =
                row.try_get::<Vec<u8>, _>(2)?.try_into().map_err(|_| EvidenceError::Inconsistent("a batch's root"))?;
            (
                row.try_get::<i64, _>(1)?,
                Some(Link { first: row.try_get::<i64, _>(0)?.cast_unsigned(), root: Hash(root) }),
            )
        }
    };
    let id = ids::event_id(clock::micros_now());
    let rows = found.members.len();
    let seal = Seal::new(JOURNAL, previous, &[], found.leaves);
    let (first_event, last_event) = found.times.unzip();
    sqlx::query(
        "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, first_event_at, last_event_at, \
         previous_position, previous_root, root, leaves) \
         VALUES ($1, $2, $3, $4, $5, 'sealed late', $6::timestamptz, $7::timestamptz, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(JOURNAL)
    .bind(first)
    .bind(first + rows as i64)
    .bind(rows as i32)
    .bind(first_event)
    .bind(last_event)
    .bind(previous.map(|link| link.first.cast_signed()))
    .bind(previous.as_ref().map(|link| &link.root.0[..]))
    .bind(&seal.root.0[..])
    .bind(&seal.leaves[..])
    .execute(&mut *connection)
    .await?;
    let mut members = Vec::with_capacity(rows * 54);
    for (event_id, created_at) in found.members {
        super::copy_in_row(&mut members, &[event_id.as_bytes(), &created_at.to_be_bytes(), id.as_bytes()]);
    }
    super::copy_in(connection, "COPY audit_late (event_id, created_at, batch_id) FROM STDIN (FORMAT binary)", &members)
        .await
}
