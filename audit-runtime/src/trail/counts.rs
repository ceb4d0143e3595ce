//! How many events match: by a column's values, and over time.

use super::filter::EventFilter;
use super::read::Trail;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, QueryBuilder, Row};
use std::time::Duration;

/// The most values of a column that are counted one by one.
const MOST_VALUES: i64 = 25;
/// The state of a statement that took too long.
const CANCELED: &str = "57014";

/// A column whose values [`Trail::facets`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Facet {
    /// The event type.
    EventType,
    /// The actor.
    Actor,
    /// The outcome, as a text.
    Outcome,
    /// The entity's type.
    EntityType,
    /// The tenant. Events without one are not counted.
    Tenant,
}

/// How often a value occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FacetCount {
    /// The column.
    pub facet: Facet,
    /// The value.
    pub value: String,
    /// The number of events with it.
    pub events: u64,
}

/// The events that began, or arrived, in a part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeCount {
    /// The first moment of the part. The next part's begin ends it.
    pub begin: Timestamp,
    /// The number of events.
    pub events: u64,
}

/// An interval in equal parts.
///
/// ```
/// use audit_runtime::Timestamp;
/// use audit_runtime::trail::Parts;
///
/// let day = Timestamp::from_unix_micros(0);
/// let hours = Parts::new(day, Timestamp::from_unix_micros(86_400_000_000), 24).unwrap();
/// assert_eq!(hours.begins().nth(1), Some(Timestamp::from_unix_micros(3_600_000_000)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    since: i64,
    width: i64,
    parts: u32,
}

impl Parts {
    /// Divides an interval into at most so many parts of whole microseconds.
    ///
    /// It returns `None` if the interval is empty or longer than 200,000 years, or has an end that
    /// Unix time in 64 bits of microseconds cannot express.
    #[must_use]
    pub fn new(since: Timestamp, until: Timestamp, parts: u32) -> Option<Self> {
        let (since, until) = (since.unix_micros()?, until.unix_micros()?);
        let length = until.checked_sub(since).filter(|length| *length > 0)?;
        let width = length.checked_add(i64::from(parts.max(1)) - 1)? / i64::from(parts.max(1));
        let parts = length.checked_add(width - 1)? / width;
        since.checked_add(width.checked_mul(parts)?)?;
        Some(Self { since, width, parts: u32::try_from(parts).ok()? })
    }

    /// Returns the first moment of each part, in order.
    pub fn begins(self) -> impl ExactSizeIterator<Item = Timestamp> {
        let number = self.parts;
        (0..number).map(move |part| self.begin(part))
    }

    /// Returns the moment at which the last part ends.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.begin(self.parts)
    }

    fn begin(self, part: u32) -> Timestamp {
        Timestamp::from_unix_micros(self.since + i64::from(part) * self.width)
    }

    /// The counts, from rows of a part's number and a count.
    fn counts(self, rows: &[PgRow]) -> Result<Vec<TimeCount>, sqlx::Error> {
        let mut counts: Vec<TimeCount> = self.begins().map(|begin| TimeCount { begin, events: 0 }).collect();
        for row in rows {
            let (part, events): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(count) = usize::try_from(part).ok().and_then(|part| counts.get_mut(part)) {
                count.events += events.cast_unsigned();
            }
        }
        Ok(counts)
    }

    /// The expression of the number of the part that `created_at` is in.
    ///
    /// It compares times. Arithmetic with `extract` uses numerics, and takes twice as long.
    fn number(self) -> String {
        let last = self.since + i64::from(self.parts.saturating_sub(1)) * self.width;
        let at = |micros: i64| format!("timestamptz '1970-01-01 00:00Z' + interval '1 us' * {micros}");
        format!(
            "width_bucket(created_at, (SELECT array_agg(b ORDER BY b) FROM generate_series({}, {}, interval '1 us' * {}) b))::bigint - 1",
            at(self.since),
            at(last),
            self.width
        )
    }
}

impl Trail {
    /// Counts the values of the newest events that match a filter, at most so many.
    ///
    /// The filter's order, cursors and limit have no effect. The counts come by column, the most
    /// frequent value first, with at most 25 values for each column. It returns `None` if counting
    /// would take longer than `within`.
    ///
    /// # Errors
    /// The query fails.
    pub async fn facets(
        &self,
        filter: &EventFilter,
        newest: u32,
        within: Duration,
    ) -> Result<Option<Vec<FacetCount>>, DatabaseError> {
        let mut query = QueryBuilder::<Postgres>::new(
            "SELECT * FROM (SELECT f, v, n, row_number() OVER (PARTITION BY f ORDER BY n DESC, v) AS r FROM (SELECT \
             CASE WHEN grouping(event_type) = 0 THEN 0 WHEN grouping(actor) = 0 THEN 1 WHEN grouping(outcome) = 0 THEN 2 \
             WHEN grouping(entity_type) = 0 THEN 3 ELSE 4 END AS f, coalesce(event_type, actor, outcome, entity_type, tenant) AS v, \
             count(*) AS n FROM (SELECT event_type, actor, outcome, entity_type, tenant FROM ",
        );
        query.push(self.events_table()).push(" e WHERE ");
        filter.clone().without_cursors().newest_first().limit(newest.max(2) - 1).conditions(&mut query);
        query.push(
            ") newest GROUP BY GROUPING SETS ((event_type), (actor), (outcome), (entity_type), (tenant))) counts WHERE v IS NOT NULL) \
             ranked WHERE r <= ",
        );
        query.push_bind(MOST_VALUES).push(" ORDER BY f, r");
        let rows = self.within(within, query).await.map_err(DatabaseError::of)?;
        let count = |row: &PgRow| {
            let (facet, value, events): (i32, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let facet = match facet {
                0 => Facet::EventType,
                1 => Facet::Actor,
                2 => Facet::Outcome,
                3 => Facet::EntityType,
                _ => Facet::Tenant,
            };
            Ok(FacetCount { facet, value, events: events.cast_unsigned() })
        };
        let counts = |rows: Vec<PgRow>| rows.iter().map(count).collect::<Result<_, _>>();
        rows.map(counts).transpose().map_err(DatabaseError::of)
    }

    /// Counts the events that match a filter by the part of the interval in which they began.
    ///
    /// The filter's order, cursors and limit have no effect. It returns `None` if counting would
    /// take longer than `within`.
    ///
    /// # Errors
    /// The query fails.
    pub async fn histogram(
        &self,
        filter: &EventFilter,
        parts: Parts,
        within: Duration,
    ) -> Result<Option<Vec<TimeCount>>, DatabaseError> {
        let number = parts.number();
        let table = self.events_table();
        let mut query = QueryBuilder::<Postgres>::new(format!("SELECT {number}, count(*) FROM {table} e WHERE "));
        filter.clone().without_cursors().bounded(parts.begin(0), parts.end()).matching(&mut query);
        query.push(" GROUP BY 1");
        let rows = self.within(within, query).await.map_err(DatabaseError::of)?;
        rows.map(|rows| parts.counts(&rows)).transpose().map_err(DatabaseError::of)
    }

    /// Counts all events by the part of the interval in which their batches arrived.
    ///
    /// It reads the rows of batches and no event, so it takes little time for any interval. Events
    /// that came without a batch count when a checkpoint seals them. Pruned events are included.
    /// It returns `None` if counting would take longer than `within`, and for a tenant, because a
    /// batch has events of several.
    ///
    /// # Errors
    /// The query fails.
    pub async fn arrivals(&self, parts: Parts, within: Duration) -> Result<Option<Vec<TimeCount>>, DatabaseError> {
        if self.wall.is_some() {
            return Ok(None);
        }
        let number = parts.number();
        let mut query = QueryBuilder::<Postgres>::new(format!(
            "SELECT {number}, sum(rows)::bigint FROM audit_batches WHERE created_at >= "
        ));
        query.push_bind(parts.begin(0)).push(" AND created_at < ").push_bind(parts.end()).push(" GROUP BY 1");
        let rows = self.within(within, query).await.map_err(DatabaseError::of)?;
        rows.map(|rows| parts.counts(&rows)).transpose().map_err(DatabaseError::of)
    }

    /// Runs a query of the table or the view with a limit of its own.
    async fn within(&self, limit: Duration, query: QueryBuilder<Postgres>) -> Result<Option<Vec<PgRow>>, sqlx::Error> {
        limited(self.events_pool(), limit, query).await
    }
}

/// Runs a query with a limit of its own, and returns `None` if that is exceeded.
pub(super) async fn limited(
    pool: &PgPool,
    limit: Duration,
    mut query: QueryBuilder<Postgres>,
) -> Result<Option<Vec<PgRow>>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let connection: &mut PgConnection = &mut connection;
    let limit = limit.as_millis().clamp(1, 3_600_000);
    let begin = format!("BEGIN; SET LOCAL statement_timeout = {limit}");
    let mut transaction = connection.begin_with(AssertSqlSafe(begin)).await?;
    let rows = match query.build().persistent(false).fetch_all(&mut *transaction).await {
        Ok(rows) => Some(rows),
        Err(error) if is_canceled(&error) => None,
        Err(error) => return Err(error),
    };
    // The limit applies to this statement, too. If it fails, the connection rolls back before it is used again.
    match transaction.rollback().await {
        Err(error) if !is_canceled(&error) => Err(error),
        _ => Ok(rows),
    }
}

fn is_canceled(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(CANCELED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_divided_into_parts_that_cover_it() {
        let at = Timestamp::from_unix_micros;
        for (since, until, most) in [(0, 10, 3), (0, 1, 60), (-7, 5, 4), (0, 86_400_000_000, 60), (0, 61, 60)] {
            let parts = Parts::new(at(since), at(until), most).unwrap();
            assert!(parts.begins().len() <= most as usize && parts.end() >= at(until), "{parts:?}");
            assert_eq!(parts.begins().next(), Some(at(since)));
            assert!(parts.begins().all(|begin| begin < at(until)), "{parts:?}");
        }
        assert_eq!(Parts::new(at(1), at(1), 3), None);
        assert_eq!(Parts::new(at(0), Timestamp::INFINITY, 3), None);
        assert_eq!(Parts::new(at(i64::MIN), at(i64::MAX), 3), None);
    }
}
