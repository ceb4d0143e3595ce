//! A text that is looked for in a whole trail: in indexed places first, then in all values.

use super::cursor::Cursor;
use super::filter::EventFilter;
use super::folded::Folded;
use super::places::{Containing, Indexed, Place, entities};
use super::read::Trail;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use crate::record::TrailEvent;
use futures_util::stream::{self, Stream};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The events of one query.
const PAGE: u32 = 100;
/// The time that the first query over values looks at. The others look at more or less, so that
/// each takes about as long as the next ones.
const FIRST_WINDOW: Duration = Duration::from_mins(1);
const SHORTEST_WINDOW: Duration = Duration::from_millis(1);
const SHORT: Duration = Duration::from_millis(40);
const LONG: Duration = Duration::from_millis(800);
/// The event types among which entities with the text as their key are looked for by an index.
const MOST_TYPES: &str = "1000";

/// A search for a text, which [`Trail::find`] runs.
///
/// ```
/// use audit_runtime::Timestamp;
/// use audit_runtime::trail::{EventFilter, Find};
/// use std::time::Duration;
///
/// let month = Timestamp::now().saturating_sub(Duration::from_secs(30 * 86_400));
/// let find = Find::new("INV-2026-0007").filter(EventFilter::new().tenant("acme")).values_since(month);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a search does nothing until a trail runs it"]
pub struct Find {
    text: String,
    pub(super) filter: EventFilter,
    pub(super) values_since: Option<Timestamp>,
}

/// A step of a search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Found {
    /// An event that contains the text.
    Event(Box<FoundEvent>),
    /// The search has looked at all indexed places, and at all values since this time.
    Searched {
        /// The time, or [`Timestamp::INFINITY`] before the first value.
        since: Timestamp,
    },
}

/// An event that contains a text, and the place of the text in it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FoundEvent {
    /// The event.
    pub event: TrailEvent,
    /// The kind of place.
    pub place: Place,
    /// For [`Place::Value`], the way to the value, as in `data.order.number` or `origin`.
    pub path: Option<String>,
    /// For [`Place::Value`], the whole value as a text.
    pub value: Option<String>,
}

impl Find {
    /// Creates a search for this text in the whole trail.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), filter: EventFilter::new(), values_since: None }
    }

    /// Selects the events in which it is looked for.
    ///
    /// The filter's order has no effect. [`Trail::find`] ignores its cursors and its limit, too.
    pub fn filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Looks at the values of events that began at this time or later.
    ///
    /// Indexed places are looked at in any case, unless [`EventFilter::since`] bounds them.
    pub fn values_since(mut self, time: impl Into<Timestamp>) -> Self {
        self.values_since = Some(time.into());
        self
    }
}

impl Trail {
    /// Streams the events that contain a text, as they are found.
    ///
    /// The search begins with the places that an index serves, where the text has to be all of it:
    /// the event's id, the entity's key or id, further entities, correlation, cause, batch, actor,
    /// tenant and event type. Then it reads the values of the data and the context, and the other
    /// columns, newest first, in windows of time. Each event comes once.
    ///
    /// In values, the text may be a part of a text, in upper or lower case. A number has to be equal,
    /// and so has the name of a member. Personal values are encrypted, and not found. An empty text
    /// is found nowhere.
    ///
    /// It keeps one page of events in memory.
    ///
    /// ```no_run
    /// # use audit_runtime::trail::{Find, Found, Trail};
    /// # async fn print(trail: Trail) -> Result<(), audit_runtime::DatabaseError> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut found = std::pin::pin!(trail.find(Find::new("INV-2026-0007")));
    /// while let Some(step) = found.try_next().await? {
    ///     if let Found::Event(found) = step {
    ///         println!("{} {} {:?}", found.event.created_at, found.event.event_type, found.place);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A query fails. The stream ends then.
    pub fn find(&self, find: Find) -> impl Stream<Item = Result<Found, DatabaseError>> + Send + 'static + use<> {
        stream::try_unfold(Finding::new(self, find), |mut finding| async move {
            Ok(finding.next().await?.map(|found| (found, finding)))
        })
    }
}

impl FoundEvent {
    pub(super) fn at_key(event: TrailEvent, place: Place) -> Self {
        Self { event, place, path: None, value: None }
    }
}

pub(super) struct Finding {
    pub(super) trail: Trail,
    pub(super) find: Find,
    pub(super) text: Folded,
    pub(super) containing: Containing,
    pub(super) places: Vec<Indexed>,
    stage: Stage,
    ready: VecDeque<Found>,
}

enum Stage {
    Begin,
    /// In an indexed place, behind an event.
    Place(usize, Option<Cursor>),
    Values(Window),
    Ended,
}

/// A part of the time, whose values are looked at.
#[derive(Clone, Copy)]
struct Window {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    after: Option<Cursor>,
    width: Duration,
    began: Instant,
    /// The time before which no event is looked at.
    oldest: Timestamp,
}

impl Finding {
    pub(super) fn new(trail: &Trail, find: Find) -> Self {
        let text = Folded::new(&find.text);
        let stage = if text.is_empty() { Stage::Ended } else { Stage::Begin };
        let (trail, containing) = (trail.clone(), Containing::new(&text));
        Self { trail, find, text, containing, places: Vec::new(), stage, ready: VecDeque::new() }
    }

    pub(super) async fn find_places(&mut self) -> Result<(), sqlx::Error> {
        let entities = self.entities().await?;
        self.places = Indexed::of(&self.find.text, &entities);
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Found>, DatabaseError> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Ok(Some(found));
            }
            self.stage = match self.stage {
                Stage::Begin => {
                    self.find_places().await.map_err(DatabaseError::of)?;
                    Stage::Place(0, None)
                }
                Stage::Place(number, after) => self.look_at(number, after).await?,
                Stage::Values(window) => self.look_within(window).await?,
                Stage::Ended => return Ok(None),
            };
        }
    }

    /// The ids of entities that have the text for their key, among the types of entities that there
    /// are.
    async fn entities(&self) -> Result<Vec<Uuid>, sqlx::Error> {
        // Each step goes to the next event type by the index. A limit keeps the planner from joining
        // whole tables.
        let types = [
            "WITH RECURSIVE types AS ((SELECT event_type FROM audit_events ORDER BY event_type USING ~<~ LIMIT 1) UNION ALL \
             SELECT (SELECT e.event_type FROM audit_events e WHERE e.event_type ~>~ t.event_type ORDER BY e.event_type USING ~<~ LIMIT 1) \
             FROM types t WHERE t.event_type IS NOT NULL), few AS (SELECT event_type FROM types WHERE event_type IS NOT NULL LIMIT ",
            MOST_TYPES,
            ") SELECT e.entity_type FROM few, LATERAL (SELECT entity_type FROM audit_events WHERE event_type = few.event_type \
             ORDER BY audit_bucket(created_at) DESC LIMIT 5) e UNION SELECT split_part(event_type, '.', 1) FROM few",
        ];
        let types: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(types.concat()))
            .persistent(false)
            .fetch_all(&self.trail.pool)
            .await?;
        let mut ids = entities(&self.find.text, &types);
        ids.sort_unstable();
        ids.dedup();
        let existing = "SELECT i FROM unnest($1::uuid[]) i WHERE (SELECT true FROM audit_events e WHERE e.entity_id = i LIMIT 1) \
                        OR (SELECT true FROM audit_events e WHERE e.targets @> jsonb_build_array(jsonb_build_object('id', i)) LIMIT 1)";
        sqlx::query_scalar(existing).persistent(false).bind(ids).fetch_all(&self.trail.pool).await
    }

    fn filter(&self) -> EventFilter {
        EventFilter { before: None, ..self.find.filter.clone().without_beginning() }.newest_first().limit(PAGE)
    }

    /// Looks at the next page of an indexed place.
    async fn look_at(&mut self, number: usize, after: Option<Cursor>) -> Result<Stage, DatabaseError> {
        let Some(at) = self.places.get(number) else {
            let since = Timestamp::INFINITY;
            self.ready.push_back(Found::Searched { since });
            return self.first_window().await.map(Stage::Values).map_err(DatabaseError::of);
        };
        let place = at.place();
        let (at, not_at) = (Some(at.clone()), self.places[..number].to_vec());
        let filter = EventFilter { at, not_at, after, ..self.filter() };
        let page = self.trail.events(&filter).await?;
        let found = |event| Found::Event(Box::new(FoundEvent::at_key(event, place)));
        self.ready.extend(page.events.into_iter().map(found));
        Ok(match page.next {
            Some(next) => Stage::Place(number, Some(next)),
            None => Stage::Place(number + 1, None),
        })
    }

    /// Returns the events among these that have the text in a value.
    pub(super) async fn found_in(&self, events: Vec<TrailEvent>) -> Result<Vec<FoundEvent>, DatabaseError> {
        let (events, places): (Vec<_>, Vec<_>) =
            events.into_iter().filter_map(|event| self.text.found_in(&event).map(|at| (event, at))).unzip();
        let events = self.trail.revealed(events).await.map_err(DatabaseError::of)?;
        let found = events.into_iter().zip(places).map(|(event, at)| FoundEvent {
            event,
            place: Place::Value,
            path: Some(at.path),
            value: Some(at.value),
        });
        Ok(found.collect())
    }

    async fn first_window(&self) -> Result<Window, sqlx::Error> {
        let (now, first): (Timestamp, Option<Timestamp>) =
            sqlx::query_as("SELECT now(), (SELECT min(created_at) FROM audit_events)")
                .fetch_one(&self.trail.pool)
                .await?;
        let floors = [self.find.values_since, self.find.filter.since, first];
        let oldest = floors.into_iter().flatten().max().unwrap_or(Timestamp::INFINITY);
        let until = self.find.filter.until;
        let begin = until.filter(|until| until.is_finite()).map_or(now, |until| until.min(now));
        let began = Instant::now();
        let window = Window { since: Some(begin), until, after: None, width: FIRST_WINDOW, began, oldest };
        // The first one begins with what is to come.
        Ok(Window { until, ..window.next().unwrap_or(window) })
    }

    /// Looks at the next page of a window.
    async fn look_within(&mut self, window: Window) -> Result<Stage, DatabaseError> {
        let Window { since, until, after, .. } = window;
        let floors = [since, self.find.values_since, self.find.filter.since];
        let containing = Some(self.containing.clone());
        let since = floors.into_iter().flatten().max();
        let filter = EventFilter { containing, since, until, after, not_at: self.places.clone(), ..self.filter() };
        let page = self.trail.stored(&filter).await.map_err(DatabaseError::of)?;
        let found = self.found_in(page.events).await?;
        self.ready.extend(found.into_iter().map(|found| Found::Event(Box::new(found))));
        if page.next.is_some() {
            return Ok(Stage::Values(Window { after: page.next, ..window }));
        }
        let reached = window.since.map_or(window.oldest, |since| since.max(window.oldest));
        self.ready.push_back(Found::Searched { since: reached });
        Ok(window.next().map_or(Stage::Ended, Stage::Values))
    }
}

impl Window {
    /// Returns the window before this one, if it is not the last.
    fn next(self) -> Option<Self> {
        let until = self.since?;
        if until <= self.oldest {
            return None;
        }
        let width = match self.began.elapsed() {
            took if took < SHORT => self.width.saturating_mul(4),
            took if took > LONG => (self.width / 4).max(SHORTEST_WINDOW),
            _ => self.width,
        };
        let since = until.saturating_sub(width);
        // The oldest may be infinite.
        let since = (since > self.oldest && since > Timestamp::MIN).then_some(since);
        Some(Self { since, until: Some(until), after: None, width, began: Instant::now(), oldest: self.oldest })
    }
}
