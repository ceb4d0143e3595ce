//! The reader of the trail.

use super::cursor::Cursor;
use super::filter::{EventFilter, Page};
use super::row::columns;
use super::wall::{TABLE, VIEW, Wall};
use crate::capture::nul::without_nul_escapes;
use crate::event::IntoEntityId;
use crate::postgres::DatabaseError;
use crate::privacy::{MasterKey, reveal};
use crate::record::{Entity, TrailEvent};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::query::QueryAs;
use sqlx::{Postgres, QueryBuilder, Row};
use uuid::Uuid;

/// A trail in PostgreSQL whose events can be read, whichever program wrote them.
///
/// ```no_run
/// use audit_runtime::trail::Trail;
/// # async fn print(pool: sqlx::PgPool, order_id: uuid::Uuid) -> Result<(), audit_runtime::DatabaseError> {
/// for event in Trail::new(pool).order(order_id, None).await? {
///     println!("{} {} {}", event.created_at, event.event_type, event.data);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Trail {
    pub(super) pool: PgPool,
    pub(super) wall: Option<Wall>,
    master_key: Option<MasterKey>,
}

/// The order of every trail: oldest first, ids as the tie-breaker.
macro_rules! trail_query {
    ($condition:literal) => {
        concat!(columns!(), $condition, " ORDER BY created_at, id")
    };
}

impl Trail {
    /// Creates a trail that is read through this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool, wall: None, master_key: None }
    }

    /// Shows the events of one tenant alone, by the wall of the database.
    ///
    /// The pool logs in as a role that [`Admin::assign_tenant`](crate::admin::Admin::assign_tenant)
    /// has assigned to the tenant. The trail's own pool finds which events match. Then the login
    /// reads these events in the view `audit_tenant_events`, and what it does not see there is left
    /// out. The login counts in the view, too.
    ///
    /// Add [`EventFilter::tenant`] to the filters: pages are short without it, because events of
    /// others are left out of them.
    ///
    /// ```no_run
    /// # use audit_runtime::trail::{EventFilter, Trail};
    /// # async fn show(reader: sqlx::PgPool, acme: sqlx::PgPool) -> Result<(), audit_runtime::DatabaseError> {
    /// let trail = Trail::new(reader).tenant_login(acme);
    /// let page = trail.events(&EventFilter::new().tenant("acme").newest_first()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tenant_login(mut self, login: PgPool) -> Self {
        self.wall = Some(Wall::new(login));
        self
    }

    /// Decrypts personal values that this key unwraps.
    ///
    /// Without the key, such a value is `"[encrypted]"`. Once its subject was
    /// [forgotten](crate::admin::Admin::forget), it is `"[erased]"` in any case.
    #[cfg(feature = "personal")]
    #[cfg_attr(docsrs, doc(cfg(feature = "personal")))]
    #[must_use]
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    async fn read(
        &self,
        query: QueryAs<'_, Postgres, TrailEvent, PgArguments>,
    ) -> Result<Vec<TrailEvent>, DatabaseError> {
        let read = async { self.shown(query.fetch_all(&self.pool).await?).await };
        read.await.map_err(DatabaseError::of)
    }

    /// Events as they are to be seen: those of the tenant, if one looks, and their personal values.
    pub(super) async fn shown(&self, events: Vec<TrailEvent>) -> Result<Vec<TrailEvent>, sqlx::Error> {
        self.revealed(self.walled(events).await?).await
    }

    /// Events as the tenant's login sees them, if one looks.
    pub(super) async fn walled(&self, events: Vec<TrailEvent>) -> Result<Vec<TrailEvent>, sqlx::Error> {
        match &self.wall {
            Some(wall) => wall.read(events).await,
            None => Ok(events),
        }
    }

    /// Returns the table of events, or the view that a tenant's login reads.
    pub(super) fn events_table(&self) -> &'static str {
        if self.wall.is_some() { VIEW } else { TABLE }
    }

    /// Returns the pool for queries of that table.
    pub(super) fn events_pool(&self) -> &PgPool {
        self.wall.as_ref().map_or(&self.pool, Wall::login)
    }

    /// Shows events that were read from elsewhere as those that PostgreSQL has: with the personal values
    /// that the key unwraps.
    ///
    /// # Errors
    /// The query fails.
    #[doc(hidden)]
    pub async fn reveal(&self, events: Vec<TrailEvent>) -> Result<Vec<TrailEvent>, DatabaseError> {
        self.revealed(events).await.map_err(DatabaseError::of)
    }

    /// Events with the personal values that the key unwraps.
    pub(super) async fn revealed(&self, mut events: Vec<TrailEvent>) -> Result<Vec<TrailEvent>, sqlx::Error> {
        reveal(&self.pool, self.master_key.as_ref(), &mut events).await?;
        Ok(events)
    }

    /// Returns the trail of an order, oldest first. It is empty if the order has no events.
    ///
    /// The trail contains the order's own events, and those whose data name the recommendation.
    /// Without a recommendation, it contains those that name the order itself. The names are
    /// `recommendation_id` and `order_id`.
    ///
    /// # Errors
    /// The query fails.
    pub async fn order(
        &self,
        order_id: Uuid,
        recommendation_id: Option<Uuid>,
    ) -> Result<Vec<TrailEvent>, DatabaseError> {
        let reference = recommendation_id.unwrap_or(order_id).to_string();
        let query = trail_query!(
            "entity_id = $1 OR data @> jsonb_build_object('recommendation_id', $2) OR data @> jsonb_build_object('order_id', $2)"
        );
        self.read(sqlx::query_as(query).bind(order_id).bind(reference)).await
    }

    /// Returns the trail of one entity, by its id or its own key, oldest first.
    /// It is empty if the entity has no events.
    ///
    /// The trail contains the events about the entity, and those that have it as a further one
    /// ([`targets`](TrailEvent::targets)).
    ///
    /// ```no_run
    /// # use audit_runtime::trail::Trail;
    /// # async fn print(trail: Trail) -> Result<(), audit_runtime::DatabaseError> {
    /// let account = trail.entity("account", 42).await?;
    /// let invoice = trail.entity("invoice", "INV-2026-0007").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Events that an older version stored without an id, with the key in `data.$entity_id`, are
    /// found, too.
    ///
    /// # Errors
    /// The query fails.
    pub async fn entity(
        &self,
        entity_type: &str,
        entity_id: impl IntoEntityId,
    ) -> Result<Vec<TrailEvent>, DatabaseError> {
        let entity = Entity::new(entity_type.to_owned(), &entity_id);
        let old = entity.old_data().map(|data| without_nul_escapes(&data.storable().to_string()).into_owned());
        // Three indexes serve it; the type is compared within each part, so that the parts are joined.
        let query = sqlx::query_as(trail_query!(
            "(entity_id = ANY ($2) AND entity_type = $1 OR entity_id IS NULL AND entity_type = $1 AND data @> $3::jsonb OR targets @> $4::jsonb)"
        ));
        let query = query.bind(entity.kind.clone()).bind(entity.ids()).bind(old).bind(entity.target());
        self.read(query.persistent(false)).await
    }

    /// Returns the trail of an execution, oldest first. It is empty if the execution has no events.
    ///
    /// The trail contains the entity's events. It also contains those of every entity of which any
    /// event's data name the recommendation.
    ///
    /// # Errors
    /// The query fails.
    pub async fn execution(&self, entity_id: Uuid, recommendation_id: Uuid) -> Result<Vec<TrailEvent>, DatabaseError> {
        let query = sqlx::query_as(trail_query!(
            // An array, for an OR with a subquery is served by no index.
            "entity_id = ANY (ARRAY(SELECT $1 UNION SELECT entity_id FROM audit_events \
             WHERE data @> jsonb_build_object('recommendation_id', $2)))"
        ));
        self.read(query.bind(entity_id).bind(recommendation_id.to_string())).await
    }

    /// Returns all events of one request or process, oldest first. It is empty if there are none.
    ///
    /// # Errors
    /// The query fails.
    pub async fn correlation(&self, correlation_id: Uuid) -> Result<Vec<TrailEvent>, DatabaseError> {
        self.read(sqlx::query_as(trail_query!("correlation_id = $1")).bind(correlation_id)).await
    }

    /// Returns one page of the events that match a filter.
    ///
    /// A page begins at the filter's [`after`](EventFilter::after) and contains at most its
    /// [`limit`](EventFilter::limit). Rows inserted meanwhile neither move nor repeat others.
    ///
    /// ```no_run
    /// use audit_runtime::Outcome;
    /// use audit_runtime::trail::{EventFilter, Trail};
    /// # async fn print(trail: Trail) -> Result<(), audit_runtime::DatabaseError> {
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
    pub async fn events(&self, filter: &EventFilter) -> Result<Page, DatabaseError> {
        let read = async {
            let page = self.stored(filter).await?;
            Ok(Page { events: self.revealed(page.events).await?, ..page })
        };
        read.await.map_err(DatabaseError::of)
    }

    /// One page of the events as they are stored.
    pub(super) async fn stored(&self, filter: &EventFilter) -> Result<Page, sqlx::Error> {
        let mut query = QueryBuilder::<Postgres>::new(columns!());
        filter.conditions(&mut query);
        // Planned for these values, not for any: partitions and indexes depend on them.
        let page = filter.page(query.build_query_as().persistent(false).fetch_all(&self.pool).await?);
        Ok(Page { events: self.walled(page.events).await?, ..page })
    }

    /// Streams the newest `events` that match a filter, oldest first.
    ///
    /// It keeps one page in memory. If others are stored meanwhile, the stream ends at the same
    /// number of events. [`before`](EventFilter::before) applies.
    /// [`newest_first`](EventFilter::newest_first) and [`after`](EventFilter::after) have no
    /// effect.
    pub fn newest(
        &self,
        filter: EventFilter,
        events: u64,
    ) -> impl Stream<Item = Result<TrailEvent, DatabaseError>> + Send + 'static {
        let trail = self.clone();
        let filter = filter.without_beginning();
        stream::once(async move {
            let begin = trail.cursor_before_newest(&filter, events).await?;
            let filter = begin.into_iter().fold(filter, EventFilter::after);
            let most = usize::try_from(events).unwrap_or(usize::MAX);
            Ok::<_, DatabaseError>(trail.stream(filter).take(most))
        })
        .try_flatten()
    }

    /// The event behind which the newest ones begin, if there are more than these.
    async fn cursor_before_newest(&self, filter: &EventFilter, events: u64) -> Result<Option<Cursor>, DatabaseError> {
        let mut query = QueryBuilder::<Postgres>::new("SELECT created_at, id FROM audit_events e WHERE ");
        filter.clone().newest_first().limit(1).conditions(&mut query);
        query.push(" OFFSET ").push_bind(i64::try_from(events).unwrap_or(i64::MAX));
        let row = query.build().persistent(false).fetch_optional(&self.pool).await.map_err(DatabaseError::of)?;
        let cursor = row.map(|row| Ok(Cursor::at(row.try_get(0)?, row.try_get(1)?)));
        cursor.transpose().map_err(DatabaseError::of)
    }

    /// Streams all events that match a filter, in pages of its [`limit`](EventFilter::limit).
    ///
    /// Any number of events needs the memory of one page.
    pub fn stream(
        &self,
        filter: EventFilter,
    ) -> impl Stream<Item = Result<TrailEvent, DatabaseError>> + Send + 'static + use<> {
        let trail = self.clone();
        let pages = stream::try_unfold(Some(filter), move |filter| {
            let trail = trail.clone();
            async move {
                let Some(filter) = filter else {
                    return Ok::<_, DatabaseError>(None);
                };
                let Page { events, next } = trail.events(&filter).await?;
                Ok(Some((stream::iter(events.into_iter().map(Ok)), next.map(|next| filter.after(next)))))
            }
        });
        pages.try_flatten()
    }
}
