//! Which events: conditions on every column, and where a page begins.

use super::TrailEvent;
use crate::event::Outcome;
use crate::json::Json;
use crate::nul::{without_nul, without_nul_escapes};
use crate::timestamp::{POSTGRES_EPOCH, Timestamp};
use sqlx::{Postgres, QueryBuilder};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use uuid::Uuid;

/// The events of a page, unless the filter says otherwise.
const LIMIT: u32 = 100;

/// Which events a trail gives: all of its conditions have to hold. What it holds is bound to the query, never part of it.
///
/// ```
/// use audit_runtime::EventFilter;
/// use serde_json::json;
///
/// let filter = EventFilter::new().event("order.*").actor("user:42").data(json!({"ticker": "AAPL"})).limit(50);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "a filter does nothing until it is asked for events"]
pub struct EventFilter {
    id: Option<Uuid>,
    events: Vec<String>,
    entity_type: Option<String>,
    entity_id: Option<Uuid>,
    actor: Option<String>,
    outcomes: Vec<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    at_least: Option<Duration>,
    /// Of each, the data contain at least one.
    data: Vec<Vec<Json>>,
    context: Vec<Vec<Json>>,
    correlation: Option<Uuid>,
    causation: Option<Uuid>,
    origin: Option<String>,
    batch: Option<Uuid>,
    unbatched: bool,
    newest_first: bool,
    limit: Option<u32>,
    after: Option<Cursor>,
    before: Option<Cursor>,
}

/// Where a page ends and the next one begins; its text can be kept and read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    created_at: Timestamp,
    id: Uuid,
}

/// A text is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid cursor {0:?}: expected one as a page or `audit-trail events` printed it")]
pub struct CursorError(String);

impl Cursor {
    pub(super) const fn at(created_at: Timestamp, id: Uuid) -> Self {
        Self { created_at, id }
    }

    /// Behind (or, newest first, before) this event.
    #[must_use]
    pub fn of(event: &TrailEvent) -> Self {
        Self { created_at: event.created_at, id: event.id }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.created_at {
            time if time.is_finite() => write!(f, "{}", i128::from(time.postgres()) + i128::from(POSTGRES_EPOCH))?,
            infinite => write!(f, "{infinite}")?,
        }
        write!(f, ".{}", self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let read = || {
            let (time, id) = text.rsplit_once('.')?;
            let created_at = match time {
                "infinity" => Timestamp::INFINITY,
                "-infinity" => Timestamp::NEG_INFINITY,
                micros => Timestamp::from_postgres(
                    i64::try_from(micros.parse::<i128>().ok()? - i128::from(POSTGRES_EPOCH)).ok()?,
                ),
            };
            Some(Self { created_at, id: Uuid::try_parse(id).ok()? })
        };
        read().ok_or_else(|| CursorError(text.to_owned()))
    }
}

/// Some of the events that a filter lets through.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The events, in the filter's order.
    pub events: Vec<TrailEvent>,
    /// Where the next page begins; `None` if there was no further event.
    pub next: Option<Cursor>,
}

impl EventFilter {
    /// Lets every event through, oldest first.
    pub fn new() -> Self {
        Self::default()
    }

    /// The event of this id.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Events of this type; `*` stands for any text: `order.*`. Called again, it adds a type.
    pub fn event(mut self, event_type: impl Into<String>) -> Self {
        self.events.push(event_type.into());
        self
    }

    /// Events about entities of this type.
    pub fn entity_type(mut self, entity_type: impl Into<String>) -> Self {
        self.entity_type = Some(entity_type.into());
        self
    }

    /// Events about the entity of this id.
    pub fn entity_id(mut self, entity_id: Uuid) -> Self {
        self.entity_id = Some(entity_id);
        self
    }

    /// What this actor did.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Calls that ended like this. Called again, it adds an outcome. For what another program wrote, see [`outcome_text`](Self::outcome_text).
    pub fn outcome(self, outcome: Outcome) -> Self {
        self.outcome_text(outcome.as_str())
    }

    /// Calls that ended like this, as a text that another program may have written. Called again, it adds an outcome.
    pub fn outcome_text(mut self, outcome: impl Into<String>) -> Self {
        self.outcomes.push(outcome.into());
        self
    }

    /// What began at this time or later.
    pub fn since(mut self, time: impl Into<Timestamp>) -> Self {
        self.since = Some(time.into());
        self
    }

    /// What began before this time.
    pub fn until(mut self, time: impl Into<Timestamp>) -> Self {
        self.until = Some(time.into());
        self
    }

    /// Calls that took at least so long.
    pub fn at_least(mut self, duration: Duration) -> Self {
        self.at_least = Some(duration);
        self
    }

    /// Events whose data contain this, as `jsonb` means it (`@>`): objects by their keys, arrays by their elements, numbers by their
    /// value to the last digit.
    pub fn data(self, part: impl Into<Json>) -> Self {
        self.data_any([part])
    }

    /// Events whose data contain at least one of these; none of an empty list.
    pub fn data_any(mut self, parts: impl IntoIterator<Item = impl Into<Json>>) -> Self {
        self.data.push(parts.into_iter().map(Into::into).collect());
        self
    }

    /// Events whose context contains this: `json!({"tenant": "acme"})`.
    pub fn context(mut self, part: impl Into<Json>) -> Self {
        self.context.push(vec![part.into()]);
        self
    }

    /// Events of this request or process.
    pub fn correlation(mut self, correlation_id: Uuid) -> Self {
        self.correlation = Some(correlation_id);
        self
    }

    /// What happened within the call that this event is.
    pub fn causation(mut self, causation_id: Uuid) -> Self {
        self.causation = Some(causation_id);
        self
    }

    /// What this process recorded; `*` stands for any text: `broker@*`.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// What this batch brought.
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

    /// What no batch brought, since this time.
    pub(super) fn unbatched(mut self, since: Timestamp) -> Self {
        self.unbatched = true;
        self.since = Some(self.since.map_or(since, |given| given.max(since)));
        self
    }

    /// The newest event first.
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

    /// Up to this event, and not with it.
    pub fn before(mut self, cursor: Cursor) -> Self {
        self.before = Some(cursor);
        self
    }

    /// The most events of a page, at least 1; 100 by default.
    pub fn limit(mut self, events: u32) -> Self {
        self.limit = Some(events.max(1));
        self
    }

    /// Begins where a page ended.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    fn page_size(&self) -> usize {
        self.limit.unwrap_or(LIMIT) as usize
    }

    /// The page that these rows are; one row more than it holds was asked for.
    pub(super) fn page(&self, mut events: Vec<TrailEvent>) -> Page {
        let more = events.len() > self.page_size();
        events.truncate(self.page_size());
        let next = events.last().filter(|_| more).map(Cursor::of);
        Page { events, next }
    }

    /// Writes the conditions, the order and the limit.
    pub(super) fn conditions(&self, query: &mut QueryBuilder<Postgres>) {
        let mut and = And { query, any: false };
        if let Some(id) = self.id {
            and.then("id = ").push_bind(id);
        }
        if !self.events.is_empty() {
            and.matching("event_type", &self.events);
        }
        if let Some(entity_type) = &self.entity_type {
            and.then("entity_type = ").push_bind(text(entity_type));
        }
        if let Some(entity_id) = self.entity_id {
            and.then("entity_id = ").push_bind(entity_id);
        }
        if let Some(actor) = &self.actor {
            and.then("actor = ").push_bind(text(actor));
        }
        match &*self.outcomes {
            [] => {}
            [outcome] => drop(and.then("outcome = ").push_bind(text(outcome))),
            outcomes => {
                let outcomes: Vec<String> = outcomes.iter().map(|outcome| text(outcome)).collect();
                and.then("outcome = ANY (").push_bind(outcomes).push(")");
            }
        }
        if let Some(since) = self.since {
            and.then("created_at >= ").push_bind(since);
        }
        if let Some(until) = self.until {
            and.then("created_at < ").push_bind(until);
        }
        if let Some(duration) = self.at_least {
            let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
            and.then("duration_us >= ").push_bind(micros);
        }
        for (column, parts) in [("data", &self.data), ("context", &self.context)] {
            parts.iter().for_each(|any| and.containing(column, any));
        }
        if let Some(correlation) = self.correlation {
            and.then("correlation_id = ").push_bind(correlation);
        }
        if let Some(causation) = self.causation {
            and.then("causation_id = ").push_bind(causation);
        }
        if let Some(origin) = &self.origin {
            and.matching("origin", std::slice::from_ref(origin));
        }
        if let Some(batch) = self.batch {
            and.then("batch_id = ").push_bind(batch);
        }
        if self.unbatched {
            and.then("batch_id IS NULL");
        }
        let (behind, order) = match self.newest_first {
            false => ("(created_at, id) > (", " ORDER BY created_at, id LIMIT "),
            true => ("(created_at, id) < (", " ORDER BY created_at DESC, id DESC LIMIT "),
        };
        if let Some(Cursor { created_at, id }) = self.after {
            and.then(behind).push_bind(created_at).push(", ").push_bind(id).push(")");
        }
        if let Some(Cursor { created_at, id }) = self.before {
            and.then("(created_at, id) < (").push_bind(created_at).push(", ").push_bind(id).push(")");
        }
        if !and.any {
            query.push("true");
        }
        // One more than a page holds tells whether there is another page.
        query.push(order).push_bind(self.page_size() as i64 + 1);
    }
}

/// Conditions that all have to hold.
struct And<'a> {
    query: &'a mut QueryBuilder<Postgres>,
    any: bool,
}

impl And<'_> {
    fn then(&mut self, condition: &'static str) -> &mut QueryBuilder<Postgres> {
        if std::mem::replace(&mut self.any, true) {
            self.query.push(" AND ");
        }
        self.query.push(condition)
    }

    /// A column that is one of these texts, or like it where it has a `*`.
    fn matching(&mut self, column: &'static str, patterns: &[String]) {
        self.then("(");
        for (number, pattern) in patterns.iter().enumerate() {
            let or = if number == 0 { "" } else { " OR " };
            self.query.push(or).push(column);
            match pattern.contains('*') {
                true => self.query.push(" LIKE ").push_bind(like(&without_nul(pattern))),
                false => self.query.push(" = ").push_bind(text(pattern)),
            };
        }
        self.query.push(")");
    }

    /// A column that contains one of these values. They are texts on their way, for a number of `serde_json` is rounded.
    fn containing(&mut self, column: &'static str, any: &[Json]) {
        self.then(if any.is_empty() { "(false" } else { "(" });
        for (number, part) in any.iter().enumerate() {
            self.query.push(if number == 0 { "" } else { " OR " }).push(column).push(" @> ");
            let part = without_nul_escapes(&part.storable().to_string()).into_owned();
            self.query.push_bind(part).push("::jsonb");
        }
        self.query.push(")");
    }
}

/// A text as the writer stores it.
fn text(text: &str) -> String {
    without_nul(text).into_owned()
}

/// A glob as LIKE has it.
fn like(glob: &str) -> String {
    let mut like = String::with_capacity(glob.len() + 4);
    for c in glob.chars() {
        match c {
            '*' => like.push('%'),
            '%' | '_' | '\\' => like.extend(['\\', c]),
            c => like.push(c),
        }
    }
    like
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_like_with_everything_else_escaped() {
        for (glob, expected) in [("order.*", "order.%"), ("*", "%"), ("a_b%\\*", "a\\_b\\%\\\\%"), ("ä*ö", "ä%ö")] {
            assert_eq!(like(glob), expected);
        }
    }

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor { created_at: Timestamp::from_unix_micros(-1_764_000_000_123_456), id: Uuid::max() };
        assert_eq!(cursor.to_string(), format!("-1764000000123456.{}", Uuid::max().simple()));
        for created_at in
            [cursor.created_at, Timestamp::MIN, Timestamp::MAX, Timestamp::INFINITY, Timestamp::NEG_INFINITY]
        {
            let cursor = Cursor { created_at, ..cursor };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for bad in ["", "1", "1.2", ".00000000000000000000000000000000", "x.00000000000000000000000000000000"] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError(bad.into())));
        }
    }
}
