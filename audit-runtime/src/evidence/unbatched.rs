//! Rows that came without a batch: of other systems, of INSERTs by hand, of `tx`. They are sealed
//! afterwards, in batches of a journal whose id is zero. `audit_late` names the batch of each row,
//! so no row is changed for it.

use super::error::{EvidenceError, Failure};
use crate::event::{clock, ids};
use crate::postgres::copy::{self, decode};
use crate::seal::merkle::Hash;
use crate::seal::{LeafForm, Link, SEALED, Seal, Sealed, Sealer};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row as _};
use uuid::Uuid;

/// The age up to which unsealed rows are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookback {
    /// All of it.
    All,
    /// Rows that are at most a day old, for processes that look every few minutes.
    Recent,
}

impl Lookback {
    /// Returns the lookback as a condition on a column.
    pub(super) fn condition(self, column: &str) -> String {
        match self {
            Self::All => String::new(),
            Self::Recent => format!(" AND {column} > now() - interval '1 day'"),
        }
    }
}

/// Says that this program knows the second form of leaves: a trigger stops programs that would put such a batch into the tree, or seal
/// such a row, by the first.
pub(super) const KNOWS_FORMS: &str = "SET LOCAL audit.leaf_form = '2'";

/// Held by a session that seals or makes a checkpoint, until the end of the transaction.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(7022364302122319875)";

/// The journal of batches that were sealed late.
pub const JOURNAL: Uuid = Uuid::nil();

/// The most rows of such a batch.
const ROWS: usize = 5_000;

/// The columns that are sealed, in their order.
pub const COLUMNS: &str = "e.id, e.event_type, e.entity_type, e.entity_id, e.actor, e.data, e.created_at, e.outcome, \
     e.duration_us, e.correlation_id, e.causation_id, e.context, e.origin, e.entity_key, e.targets, e.tenant";

/// Rows that no batch has sealed.
pub(crate) const UNSEALED: &str = "e.batch_id IS NULL AND NOT EXISTS \
     (SELECT FROM audit_late l WHERE l.event_id = e.id AND l.created_at = e.created_at)";

/// Rows that are to be sealed.
struct Found {
    leaves: Vec<u8>,
    form: LeafForm,
    /// Of each, its id and its time as PostgreSQL has it.
    members: Vec<(Uuid, i64)>,
    /// The first time and the last, as PostgreSQL writes them.
    times: Option<(String, String)>,
}

/// Seals all rows that came without a batch, and returns how many.
pub(crate) async fn seal_all(connection: &mut PgConnection) -> Result<u64, Failure> {
    seal(connection, Lookback::All).await
}

/// Seals the unsealed rows, and returns how many there were.
pub(crate) async fn seal(connection: &mut PgConnection, lookback: Lookback) -> Result<u64, Failure> {
    let (mut sealed, mut behind) = (0, None::<String>);
    loop {
        // Each batch is a transaction of its own: there may be millions of such rows.
        let mut transaction = connection.begin().await?;
        transaction.execute(LOCK).await?;
        transaction.execute(KNOWS_FORMS).await?;
        let found = find(&mut transaction, lookback, behind.as_deref()).await?;
        let Some((_, last)) = &found.times else {
            return Ok(sealed);
        };
        let rows = found.members.len() as u64;
        behind = Some(last.clone());
        insert(&mut transaction, found).await?;
        transaction.commit().await?;
        sealed += rows;
        // Rows that arrive meanwhile wait for the next pass, because their writers may never stop.
        if rows < ROWS as u64 {
            return Ok(sealed);
        }
    }
}

/// The next rows in the order of their times, from that one on.
async fn find(connection: &mut PgConnection, lookback: Lookback, from: Option<&str>) -> Result<Found, Failure> {
    let from = from.map_or_else(String::new, |from| format!(" AND e.created_at >= timestamptz '{from}'"));
    let query = format!(
        "SELECT {COLUMNS}, e.created_at::text FROM audit_events e WHERE {UNSEALED}{}{from} ORDER BY e.created_at, e.id LIMIT {ROWS}",
        lookback.condition("e.created_at")
    );
    let mut found = Found { leaves: Vec::new(), form: LeafForm::FIRST, members: Vec::new(), times: None };
    let mut sealer = Sealer::default();
    decode::rows(connection, &query, |row| {
        let Sealed { entry, form } = sealer.stored(row.0);
        found.leaves.extend(entry.to_bytes());
        found.form = found.form.max(form);
        let mut fields = row.fields();
        for _ in 0..6 {
            fields.next()?;
        }
        found.members.push((entry.id, fields.i64()?));
        for _ in 7..SEALED {
            fields.next()?;
        }
        let time = String::from_utf8_lossy(fields.next()?.unwrap_or_default()).into_owned();
        match &mut found.times {
            Some((_, last)) => *last = time,
            none => *none = Some((time.clone(), time)),
        }
        Ok::<_, Failure>(())
    })
    .await?;
    Ok(found)
}

async fn insert(connection: &mut PgConnection, found: Found) -> Result<(), Failure> {
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
    let seal = Seal::new(JOURNAL, previous, &[], found.leaves, found.form);
    let (first_event, last_event) = found.times.unzip();
    sqlx::query(
        "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, first_event_at, last_event_at, \
         previous_position, previous_root, root, leaves, leaf_form) \
         VALUES ($1, $2, $3, $4, $5, 'sealed late', $6::timestamptz, $7::timestamptz, $8, $9, $10, $11, $12)",
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
    .bind(seal.form.0)
    .execute(&mut *connection)
    .await?;
    let mut members = Vec::with_capacity(rows * 54);
    for (event_id, created_at) in found.members {
        copy::push_row(&mut members, &[event_id.as_bytes(), &created_at.to_be_bytes(), id.as_bytes()]);
    }
    copy::send(connection, "COPY audit_late (event_id, created_at, batch_id) FROM STDIN (FORMAT binary)", &members)
        .await?;
    Ok(())
}
