//! Which events: conditions on every column, and where a page begins.

use super::cursor::Cursor;
use super::places::{Containing, Indexed};
use crate::capture::Json;
use crate::event::{IntoEntityId, IntoTenant, Outcome, Timestamp, written};
use crate::record::{Entity, TrailEvent};
use std::time::Duration;
use uuid::Uuid;

/// The events of a page, unless the filter sets another number.
const LIMIT: u32 = 100;

/// Selects the events of a trail that match all of its conditions.
///
/// The values of the conditions are bound to the query, and never part of its text.
///
/// ```
/// use audit_runtime::trail::EventFilter;
/// use serde_json::json;
///
/// let filter = EventFilter::new().event("order.*").actor("user:42").data(json!({"ticker": "AAPL"})).limit(50);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "a filter does nothing until it is asked for events"]
pub struct EventFilter {
    pub(super) id: Option<Uuid>,
    pub(super) events: Vec<String>,
    /// None of these types.
    pub(super) not_events: Vec<String>,
    pub(super) entity_type: Option<String>,
    /// For each list, the entity's type is one of these texts.
    pub(super) entity_types: Vec<Vec<String>>,
    pub(super) entity_id: Option<Uuid>,
    pub(super) entity: Option<Entity>,
    pub(super) target: Option<Entity>,
    pub(super) tenant: Option<String>,
    /// For each list, the tenant is one of these texts.
    pub(super) tenants: Vec<Vec<String>>,
    pub(super) actor: Option<String>,
    pub(super) outcomes: Vec<String>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) at_least: Option<Duration>,
    /// For each list, the data contain at least one of its parts.
    pub(super) data: Vec<Vec<Json>>,
    pub(super) context: Vec<Vec<Json>>,
    pub(super) correlation: Option<Uuid>,
    pub(super) causation: Option<Uuid>,
    pub(super) origin: Option<String>,
    pub(super) batch: Option<Uuid>,
    pub(super) unbatched: bool,
    pub(super) newest_first: bool,
    pub(super) limit: Option<u32>,
    pub(super) after: Option<Cursor>,
    pub(super) before: Option<Cursor>,
    /// Events with a text in an indexed place, and not in one of these.
    pub(super) at: Option<Indexed>,
    pub(super) not_at: Vec<Indexed>,
    pub(super) containing: Option<Containing>,
}

/// A page of the events that match a filter.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The events, in the filter's order.
    pub events: Vec<TrailEvent>,
    /// The cursor of the next page, or `None` if no event follows.
    pub next: Option<Cursor>,
}

impl EventFilter {
    /// Creates a filter that matches every event, oldest first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects the event with this id.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Selects events of this type, in which `*` stands for any text: `order.*`.
    ///
    /// Called again, it adds a type.
    pub fn event(mut self, event_type: impl Into<String>) -> Self {
        self.events.push(event_type.into());
        self
    }

    /// Leaves out events of exactly this type. Called again, it leaves out a further type.
    pub fn without_event(mut self, event_type: impl Into<String>) -> Self {
        self.not_events.push(event_type.into());
        self
    }

    /// Selects events about entities of one of these types. An empty list matches none.
    ///
    /// It applies beside [`entity_type`](Self::entity_type), and each further call beside the calls
    /// before. So an application can narrow a filter that it was given.
    pub fn entity_type_any(mut self, entity_types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.entity_types.push(entity_types.into_iter().map(Into::into).collect());
        self
    }

    /// Selects events about data of one of these tenants. An empty list matches none.
    ///
    /// It applies beside [`tenant`](Self::tenant), and each further call beside the calls before.
    pub fn tenant_any(mut self, tenants: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tenants.push(tenants.into_iter().map(Into::into).collect());
        self
    }

    /// Selects events about entities of this type.
    pub fn entity_type(mut self, entity_type: impl Into<String>) -> Self {
        self.entity_type = Some(entity_type.into());
        self
    }

    /// Selects events about this entity, by its id or by its own key.
    ///
    /// Events that an older version stored without an id, with the key in `data.$entity_id`, are
    /// found, too.
    ///
    /// ```
    /// # use audit_runtime::trail::EventFilter;
    /// let filter = EventFilter::new().entity("account", 42);
    /// ```
    pub fn entity(mut self, entity_type: impl Into<String>, id: impl IntoEntityId) -> Self {
        self.entity = Some(Entity::new(entity_type.into(), &id));
        self
    }

    /// Selects events that have this entity as a further one, beside the one that they are about.
    pub fn target(mut self, entity_type: impl Into<String>, id: impl IntoEntityId) -> Self {
        self.target = Some(Entity::new(entity_type.into(), &id));
        self
    }

    /// Selects events about data of this tenant.
    ///
    /// This is a filter for a trusted application, not a wall: a reader may leave it out.
    pub fn tenant(mut self, tenant: impl IntoTenant) -> Self {
        tenant.tenant_ref(&mut |tenant| self.tenant = written(tenant));
        self
    }

    /// Selects events about the entity with this id.
    pub fn entity_id(mut self, entity_id: Uuid) -> Self {
        self.entity_id = Some(entity_id);
        self
    }

    /// Selects events by this actor.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Selects calls that ended with this outcome.
    ///
    /// Called again, it adds an outcome. For outcomes that another program wrote, see
    /// [`outcome_text`](Self::outcome_text).
    pub fn outcome(self, outcome: Outcome) -> Self {
        self.outcome_text(outcome.as_str())
    }

    /// Selects calls that ended with this outcome, as a text.
    ///
    /// The text may be one that another program has written. Called again, it adds an outcome.
    pub fn outcome_text(mut self, outcome: impl Into<String>) -> Self {
        self.outcomes.push(outcome.into());
        self
    }

    /// Selects events that began at this time or later.
    pub fn since(mut self, time: impl Into<Timestamp>) -> Self {
        self.since = Some(time.into());
        self
    }

    /// Selects events that began before this time.
    pub fn until(mut self, time: impl Into<Timestamp>) -> Self {
        self.until = Some(time.into());
        self
    }

    /// Selects calls that took at least this long.
    pub fn at_least(mut self, duration: Duration) -> Self {
        self.at_least = Some(duration);
        self
    }

    /// Selects events whose data contain this, as `jsonb` defines it (`@>`).
    ///
    /// Objects are compared by their keys, arrays by their elements, and numbers by their value to
    /// the last digit.
    pub fn data(self, part: impl Into<Json>) -> Self {
        self.data_any([part])
    }

    /// Selects events whose data contain at least one of these. An empty list matches none.
    pub fn data_any(mut self, parts: impl IntoIterator<Item = impl Into<Json>>) -> Self {
        self.data.push(parts.into_iter().map(Into::into).collect());
        self
    }

    /// Selects events whose context contains this: `json!({"tenant": "acme"})`.
    pub fn context(self, part: impl Into<Json>) -> Self {
        self.context_any([part])
    }

    /// Selects events whose context contains at least one of these. An empty list matches none.
    pub fn context_any(mut self, parts: impl IntoIterator<Item = impl Into<Json>>) -> Self {
        self.context.push(parts.into_iter().map(Into::into).collect());
        self
    }

    /// Selects events of this request or process.
    pub fn correlation(mut self, correlation_id: Uuid) -> Self {
        self.correlation = Some(correlation_id);
        self
    }

    /// Selects events that happened within the call of this event.
    pub fn causation(mut self, causation_id: Uuid) -> Self {
        self.causation = Some(causation_id);
        self
    }

    /// Selects events that this process recorded, where `*` stands for any text: `broker@*`.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Selects events that came with this batch.
    pub fn batch(mut self, batch_id: Uuid) -> Self {
        self.batch = Some(batch_id);
        self
    }

    /// Within these times, both included, beside those it has.
    pub(super) fn within(mut self, first: Timestamp, last: Timestamp) -> Self {
        // The writer names no time of a batch beyond these years, and its rows may lie there.
        if first > Timestamp::YEAR_1 {
            self.since = Some(self.since.map_or(first, |since| since.max(first)));
        }
        if last < Timestamp::YEAR_9999 {
            let end = last.saturating_add(Duration::from_micros(1));
            self.until = Some(self.until.map_or(end, |until| until.min(end)));
        }
        self
    }

    /// Selects events that came without a batch, since this time.
    pub(super) fn unbatched(mut self, since: Timestamp) -> Self {
        self.unbatched = true;
        self.since = Some(self.since.map_or(since, |given| given.max(since)));
        self
    }

    /// Returns the newest event first.
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Without a place to begin and an order.
    pub(super) fn without_beginning(mut self) -> Self {
        self.newest_first = false;
        self.after = None;
        self
    }

    /// Without a place to begin or to end.
    pub(super) fn without_cursors(mut self) -> Self {
        (self.after, self.before) = (None, None);
        self
    }

    /// Within this interval, beside the one it has.
    pub(super) fn bounded(mut self, since: Timestamp, until: Timestamp) -> Self {
        self.since = Some(self.since.map_or(since, |given| given.max(since)));
        self.until = Some(self.until.map_or(until, |given| given.min(until)));
        self
    }

    /// Ends before this event.
    pub fn before(mut self, cursor: Cursor) -> Self {
        self.before = Some(cursor);
        self
    }

    /// Sets the most events of a page, at least 1. The default is 100.
    pub fn limit(mut self, events: u32) -> Self {
        self.limit = Some(events.max(1));
        self
    }

    /// Begins where a page ended.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    pub(super) fn page_size(&self) -> usize {
        self.limit.unwrap_or(LIMIT) as usize
    }

    /// The page of these rows. The query asked for one row more than the page holds.
    pub(super) fn page(&self, mut events: Vec<TrailEvent>) -> Page {
        let more = events.len() > self.page_size();
        events.truncate(self.page_size());
        let next = events.last().filter(|_| more).map(Cursor::of);
        Page { events, next }
    }
}
