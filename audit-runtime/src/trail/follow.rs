//! Events as they arrive, whenever they happened.
//!
//! Events come in batches, and a batch may bring events from long ago. So batches are followed, by
//! the time of their transaction. A batch whose transaction is still open is found later. The
//! stream looks for batches again until every earlier transaction has ended. Events of other
//! programs have no batch, and are looked for by their own time.

use super::filter::EventFilter;
use super::read::Trail;
use super::row::columns;
use crate::event::Timestamp;
use crate::postgres::{DatabaseError, Internal};
use crate::record::TrailEvent;
use futures_util::stream::{self, Stream, TryStreamExt};
use sqlx::{Connection, Postgres, QueryBuilder, Row};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use uuid::Uuid;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);
/// A batch's transaction is open for less than this: its statements have a limit of 50 seconds.
const OPEN_BATCH: Duration = Duration::from_mins(5);
/// How old what others insert may be: looked for each time, and once a minute.
const RECENT: Duration = Duration::from_mins(2);
const LATE: Duration = Duration::from_hours(1);
const LATE_EVERY: u32 = 120;

impl Trail {
    /// Streams the newest events that match a filter, then new events as they arrive, for ever.
    ///
    /// It begins with at most [`limit`](EventFilter::limit) events, oldest first. It returns each
    /// event once. Events that arrive late, with an earlier time, come too. If no batch brings it,
    /// a late event is found only if it is at most an hour old. After an error, the stream
    /// continues when it is polled again.
    pub fn follow(
        &self,
        filter: EventFilter,
    ) -> impl Stream<Item = Result<TrailEvent, DatabaseError>> + Send + 'static {
        let following = Following {
            trail: self.clone(),
            filter,
            looked: None,
            rounds: 0,
            batches: HashMap::new(),
            others: HashMap::new(),
            ready: VecDeque::new(),
        };
        stream::unfold(following, |mut following| async move {
            let next = following.next().await.map_err(Failure::into_public);
            Some((next, following))
        })
    }
}

type Failure = Internal<DatabaseError>;

struct Following {
    trail: Trail,
    filter: EventFilter,
    /// The server's time when it was last looked, or `None` before the beginning.
    looked: Option<Timestamp>,
    rounds: u32,
    /// Batches that were seen, by when they came.
    batches: HashMap<Uuid, Timestamp>,
    /// Events of others that were seen, by when they happened.
    others: HashMap<Uuid, Timestamp>,
    ready: VecDeque<TrailEvent>,
}

/// A batch that was not seen before.
struct Arrived {
    id: Uuid,
    at: Timestamp,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Following {
    async fn next(&mut self) -> Result<TrailEvent, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            match self.looked {
                None => self.begin().await?,
                Some(looked) => {
                    tokio::time::sleep(EVERY).await;
                    self.look(looked).await?;
                }
            }
        }
    }

    /// Reads the events so far, and notes which of them count as seen, at one moment.
    async fn begin(&mut self) -> Result<(), Failure> {
        let mut connection = self.trail.pool.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let now: Timestamp = sqlx::query_scalar("SELECT now()").fetch_one(&mut *transaction).await?;
        let seen = "SELECT id, created_at, true FROM audit_batches WHERE created_at > $1 \
                    UNION ALL SELECT id, created_at, false FROM audit_events WHERE batch_id IS NULL AND created_at > $2";
        let rows = sqlx::query(seen)
            .persistent(false)
            .bind(now.saturating_sub(OPEN_BATCH))
            .bind(now.saturating_sub(LATE + RECENT))
            .fetch_all(&mut *transaction)
            .await?;
        for row in rows {
            let seen = if row.try_get(2)? { &mut self.batches } else { &mut self.others };
            seen.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let mut query = QueryBuilder::<Postgres>::new(columns!());
        self.filter.clone().newest_first().conditions(&mut query);
        let events = query.build_query_as().persistent(false).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        drop(connection);
        let events = self.trail.shown(self.filter.page(events).events).await?;
        self.ready = events.into_iter().rev().collect();
        self.looked = Some(now);
        Ok(())
    }

    async fn look(&mut self, looked: Timestamp) -> Result<(), Failure> {
        let mut found = Vec::new();
        let now: Timestamp = sqlx::query_scalar("SELECT now()").fetch_one(&self.trail.pool).await?;
        let arrived = self.arrived(looked.saturating_sub(OPEN_BATCH)).await?;
        for batch in &arrived {
            let mut filter = self.filter.clone().batch(batch.id);
            if let (Some(first), Some(last)) = (batch.first, batch.last) {
                filter = filter.within(first, last);
            }
            found.extend(self.trail.stream(filter).try_collect::<Vec<_>>().await?);
        }
        let age = if self.rounds % LATE_EVERY == LATE_EVERY - 1 { LATE } else { RECENT };
        let others = self
            .trail
            .stream(self.filter.clone().unbatched(looked.saturating_sub(age)))
            .try_collect::<Vec<_>>()
            .await?;
        // Only now that all was read does it count as seen: after an error it is read again.
        self.rounds = self.rounds.wrapping_add(1);
        self.batches.extend(arrived.iter().map(|batch| (batch.id, batch.at)));
        for event in others {
            if self.others.insert(event.id, event.created_at).is_none() {
                found.push(event);
            }
        }
        self.batches.retain(|_, at| *at > now.saturating_sub(OPEN_BATCH));
        self.others.retain(|_, at| *at > now.saturating_sub(LATE + RECENT));
        self.looked = Some(now);
        found.sort_by_key(|event| (event.created_at, event.id));
        self.ready = found.into();
        Ok(())
    }

    /// Batches that came since then and were not seen.
    async fn arrived(&self, since: Timestamp) -> Result<Vec<Arrived>, Failure> {
        let rows = sqlx::query(
            "SELECT id, created_at, first_event_at, last_event_at FROM audit_batches WHERE created_at > $1 ORDER BY created_at",
        )
        .persistent(false)
        .bind(since)
        .fetch_all(&self.trail.pool)
        .await?;
        let arrived = rows.iter().map(|row| {
            Ok(Arrived { id: row.try_get(0)?, at: row.try_get(1)?, first: row.try_get(2)?, last: row.try_get(3)? })
        });
        let arrived: Vec<Arrived> = arrived.collect::<Result<_, sqlx::Error>>()?;
        Ok(arrived.into_iter().filter(|batch| !self.batches.contains_key(&batch.id)).collect())
    }
}
