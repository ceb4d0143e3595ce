//! Reading the trail back.

mod changed;
mod decode;
mod event;
mod filter;
mod follow;

pub use changed::Change;
pub(crate) use event::mark_intents;
pub use event::{IntentState, TrailEvent};
pub use filter::{Cursor, CursorError, EventFilter, Page};

use crate::personal::{MasterKey, reveal};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::QueryAs;
use sqlx::{Postgres, QueryBuilder, Row};
use uuid::Uuid;

/// Reads events from PostgreSQL, whoever wrote them.
///
/// ```no_run
/// use audit_runtime::Trail;
/// # async fn print(pool: sqlx::PgPool, order_id: uuid::Uuid) -> Result<(), sqlx::Error> {
/// for event in Trail::new(pool).order(order_id, None).await? {
///     println!("{} {} {}", event.created_at, event.event_type, event.data);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Trail {
    pool: PgPool,
    master_key: Option<MasterKey>,
}

/// The columns of a [`TrailEvent`], with the outcome of each intent's completion.
macro_rules! columns {
    () => {
        concat!(
            "SELECT id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, ",
            "correlation_id, causation_id, context, origin, batch_id, ",
            "CASE WHEN outcome = 'started' THEN (SELECT c.outcome FROM audit_events c WHERE c.correlation_id = e.correlation_id ",
            "AND c.created_at = e.created_at AND c.causation_id = e.id LIMIT 1) END AS completion ",
            "FROM audit_events e WHERE "
        )
    };
}

use columns;

/// The order of every trail: oldest first, ids as the tie-breaker.
macro_rules! trail_query {
    ($condition:literal) => {
        concat!(columns!(), $condition, " ORDER BY created_at, id")
    };
}

impl Trail {
    /// Reads through this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool, master_key: None }
    }

    /// Reads what is personal, too, as far as this key can: without it, such a value is `"[encrypted]"`. In any case it is `"[erased]"` once
    /// its subject was [forgotten](crate::forget).
    #[must_use]
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    async fn read(
        &self,
        query: QueryAs<'_, Postgres, TrailEvent, PgArguments>,
    ) -> Result<Vec<TrailEvent>, sqlx::Error> {
        self.revealed(query.fetch_all(&self.pool).await?).await
    }

    /// Events as they are to be seen.
    async fn revealed(&self, mut events: Vec<TrailEvent>) -> Result<Vec<TrailEvent>, sqlx::Error> {
        reveal(&self.pool, self.master_key.as_ref(), &mut events).await?;
        Ok(events)
    }

    /// The trail of an order: its own events, and those whose data name the recommendation, or, without one, the order
    /// itself, as `recommendation_id` or `order_id`. Oldest first; empty if there is nothing.
    ///
    /// # Errors
    /// The query fails.
    pub async fn order(&self, order_id: Uuid, recommendation_id: Option<Uuid>) -> Result<Vec<TrailEvent>, sqlx::Error> {
        let reference = recommendation_id.unwrap_or(order_id).to_string();
        let query = trail_query!("entity_id = $1 OR data->>'recommendation_id' = $2 OR data->>'order_id' = $2");
        self.read(sqlx::query_as(query).bind(order_id).bind(reference)).await
    }

    /// The trail of one entity. Oldest first; empty if there is nothing.
    ///
    /// # Errors
    /// The query fails.
    pub async fn entity(&self, entity_type: &str, entity_id: Uuid) -> Result<Vec<TrailEvent>, sqlx::Error> {
        let query = sqlx::query_as(trail_query!("entity_type = $1 AND entity_id = $2"));
        self.read(query.bind(entity_type).bind(entity_id)).await
    }

    /// The trail of an execution: the entity's events, and those of every entity of which any event's data name the
    /// recommendation. Oldest first; empty if there is nothing.
    ///
    /// # Errors
    /// The query fails.
    pub async fn execution(&self, entity_id: Uuid, recommendation_id: Uuid) -> Result<Vec<TrailEvent>, sqlx::Error> {
        let query = sqlx::query_as(trail_query!(
            // An array, for an OR with a subquery is served by no index.
            "entity_id = ANY (ARRAY(SELECT $1 UNION SELECT entity_id FROM audit_events \
             WHERE data->>'recommendation_id' = $2))"
        ));
        self.read(query.bind(entity_id).bind(recommendation_id.to_string())).await
    }

    /// The trail of a correlation: all events of one request or process. Oldest first; empty if there is nothing.
    ///
    /// # Errors
    /// The query fails.
    pub async fn correlation(&self, correlation_id: Uuid) -> Result<Vec<TrailEvent>, sqlx::Error> {
        self.read(sqlx::query_as(trail_query!("correlation_id = $1")).bind(correlation_id)).await
    }

    /// One page of the events that a filter lets through: at most its [`limit`](EventFilter::limit), from its
    /// [`after`](EventFilter::after) on. Rows that are inserted meanwhile neither move nor repeat others.
    ///
    /// ```no_run
    /// use audit_runtime::{EventFilter, Outcome, Trail};
    /// # async fn print(trail: Trail) -> Result<(), sqlx::Error> {
    /// let mut filter = EventFilter::new().event("order.*").outcome(Outcome::Error).newest_first();
    /// loop {
    ///     let page = trail.events(&filter).await?;
    ///     page.events.iter().for_each(|event| println!("{} {}", event.created_at, event.event_type));
    ///     let Some(next) = page.next else { break };
    ///     filter = filter.after(next);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The query fails.
    pub async fn events(&self, filter: &EventFilter) -> Result<Page, sqlx::Error> {
        let mut query = QueryBuilder::<Postgres>::new(columns!());
        filter.conditions(&mut query);
        // Planned for these values, not for any: partitions and indexes depend on them.
        Ok(filter.page(self.read(query.build_query_as().persistent(false)).await?))
    }

    /// Streams the newest `events` that a filter lets through, oldest first. It holds one page in memory. Where others are stored meanwhile, the
    /// stream ends at the same number of events. [`newest_first`](EventFilter::newest_first) and [`after`](EventFilter::after) have no effect;
    /// [`before`](EventFilter::before) has.
    pub fn newest(
        &self,
        filter: EventFilter,
        events: u64,
    ) -> impl Stream<Item = Result<TrailEvent, sqlx::Error>> + Send + 'static {
        let trail = self.clone();
        let filter = filter.without_beginning();
        stream::once(async move {
            let begin = trail.cursor_before_newest(&filter, events).await?;
            let filter = begin.into_iter().fold(filter, EventFilter::after);
            let most = usize::try_from(events).unwrap_or(usize::MAX);
            Ok::<_, sqlx::Error>(trail.stream(filter).take(most))
        })
        .try_flatten()
    }

    /// The event behind which the newest ones begin, if there are more than these.
    async fn cursor_before_newest(&self, filter: &EventFilter, events: u64) -> Result<Option<Cursor>, sqlx::Error> {
        let mut query = QueryBuilder::<Postgres>::new("SELECT created_at, id FROM audit_events e WHERE ");
        filter.clone().newest_first().limit(1).conditions(&mut query);
        query.push(" OFFSET ").push_bind(i64::try_from(events).unwrap_or(i64::MAX));
        let row = query.build().persistent(false).fetch_optional(&self.pool).await?;
        row.map(|row| Ok(Cursor::at(row.try_get(0)?, row.try_get(1)?))).transpose()
    }

    /// All events that a filter lets through, read in pages of its [`limit`](EventFilter::limit): any number of them in the
    /// memory of one page.
    pub fn stream(
        &self,
        filter: EventFilter,
    ) -> impl Stream<Item = Result<TrailEvent, sqlx::Error>> + Send + 'static + use<> {
        let trail = self.clone();
        let pages = stream::try_unfold(Some(filter), move |filter| {
            let trail = trail.clone();
            async move {
                let Some(filter) = filter else {
                    return Ok::<_, sqlx::Error>(None);
                };
                let Page { events, next } = trail.events(&filter).await?;
                Ok(Some((stream::iter(events.into_iter().map(Ok)), next.map(|next| filter.after(next)))))
            }
        });
        pages.try_flatten()
    }
}
