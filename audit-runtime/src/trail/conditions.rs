//! A filter as the conditions of a query.

use super::cursor::Cursor;
use super::filter::EventFilter;
use super::places::{Containing, Indexed};
use crate::capture::Json;
use crate::capture::nul::{without_nul, without_nul_escapes};
use crate::event::{Timestamp, ids};
use crate::postgres::glob::like;
use crate::record::Entity;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

impl EventFilter {
    /// Writes the conditions, the order and the limit.
    pub(super) fn conditions(&self, query: &mut QueryBuilder<Postgres>) {
        self.matching(query);
        let direction = if self.newest_first { " DESC" } else { "" };
        query.push(" ORDER BY ");
        if self.is_ordered_by_minute() {
            query.push(MINUTE).push(direction).push(", ");
        }
        query.push("created_at").push(direction).push(", id").push(direction);
        // One event more than a page holds shows whether there is another page.
        query.push(" LIMIT ").push_bind(self.page_size() as i64 + 1);
    }

    /// Writes the conditions alone.
    pub(crate) fn matching(&self, query: &mut QueryBuilder<Postgres>) {
        let mut and = And { query, any: false };
        if let Some(id) = self.id {
            and.id(id);
        }
        if !self.events.is_empty() {
            and.matching("event_type", &self.events);
        }
        if !self.not_events.is_empty() {
            let events: Vec<String> = self.not_events.iter().map(|event| text(event)).collect();
            and.then("event_type <> ALL (").push_bind(events).push(")");
        }
        if let Some(entity_type) = &self.entity_type {
            and.then("entity_type = ").push_bind(text(entity_type));
        }
        for (column, lists) in [("entity_type", &self.entity_types), ("tenant", &self.tenants)] {
            for list in lists {
                match &**list {
                    // An index has the events of one value in the order of time, and not those of a list.
                    [value] => drop(and.then(column).push(" = ").push_bind(text(value))),
                    list => {
                        let list: Vec<String> = list.iter().map(|value| text(value)).collect();
                        and.then(column).push(" = ANY (").push_bind(list).push(")");
                    }
                }
            }
        }
        if let Some(entity_id) = self.entity_id {
            and.then("entity_id = ").push_bind(entity_id);
        }
        if let Some(entity) = &self.entity {
            and.entity(entity);
        }
        if let Some(target) = &self.target {
            // No entity is one of no event.
            and.then("targets @> ").push_bind(target.target()).push("::jsonb");
        }
        if let Some(tenant) = &self.tenant {
            and.then("tenant = ").push_bind(tenant.clone());
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
        let by_minute = self.is_ordered_by_minute();
        if let Some(since) = self.since {
            and.then("created_at >= ").push_bind(since);
            and.minute(by_minute, ">=", since);
        }
        if let Some(until) = self.until {
            and.then("created_at < ").push_bind(until);
            and.minute(by_minute, "<=", until);
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
        if let Some(at) = &self.at {
            and.then("");
            and.indexed(at);
        }
        for at in &self.not_at {
            and.then("NOT coalesce((");
            and.indexed(at);
            and.query.push("), false)");
        }
        if let Some(Containing { pattern, of_ids }) = &self.containing {
            and.then(if *of_ids { TEXTS_AND_IDS } else { TEXTS }).push_bind(pattern.clone());
        }
        let behind = if self.newest_first { "<" } else { ">" };
        if let Some(Cursor { created_at, id }) = self.after {
            and.beyond(behind, created_at, id);
            and.minute(by_minute, if self.newest_first { "<=" } else { ">=" }, created_at);
        }
        if let Some(Cursor { created_at, id }) = self.before {
            and.beyond("<", created_at, id);
            and.minute(by_minute, "<=", created_at);
        }
        if !and.any {
            query.push("true");
        }
    }

    /// Returns whether an index by one of the conditions serves the order.
    ///
    /// Those indexes end with the minute of an event and not with its time, so that equal keys are
    /// stored once. A later time is never in an earlier minute, so the order is the same.
    fn is_ordered_by_minute(&self) -> bool {
        let one_type = matches!(&*self.events, [event] if !event.contains('*'));
        let one_entity = |entity: &Entity| entity.ids().len() == 1 && entity.old_data().is_none();
        let by_entity = self.entity_id.is_some() || self.entity.as_ref().is_some_and(one_entity);
        let at = self.at.as_ref().is_some_and(Indexed::is_ordered_by_minute);
        at || one_type || by_entity || self.actor.is_some() || self.correlation.is_some()
    }
}

/// All texts of an event, and with its ids.
const TEXTS: &str =
    "concat_ws(E'\\n', event_type, entity_type, entity_key, actor, tenant, origin, targets, data, context) ~ ";
const TEXTS_AND_IDS: &str = "concat_ws(E'\\n', event_type, entity_type, entity_key, actor, tenant, origin, targets, data, context, \
     id, entity_id, correlation_id, causation_id, batch_id) ~ ";

/// The minute of an event, as in the indexes.
const MINUTE: &str = "audit_bucket(created_at)";

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

    /// A bound of the minute, beside the one of the time.
    fn minute(&mut self, applies: bool, comparison: &'static str, time: Timestamp) {
        if applies {
            self.then(MINUTE).push(" ").push(comparison).push(" audit_bucket(").push_bind(time).push(")");
        }
    }

    /// The events behind or before a cursor.
    fn beyond(&mut self, comparison: &'static str, created_at: Timestamp, id: Uuid) {
        self.then("(created_at, id) ").push(comparison).push(" (").push_bind(created_at).push(", ");
        self.query.push_bind(id).push(")");
    }

    /// An event's id, with the time that it states: there is an index by time, and none by id.
    ///
    /// A row of another writer may have any id, and came without a batch: an index holds those ids.
    /// An id states no time before 1970, and none after 10889.
    fn id(&mut self, id: Uuid) {
        self.then("");
        self.is_id(id);
    }

    fn is_id(&mut self, id: Uuid) {
        self.query.push("id = ").push_bind(id).push(" AND (batch_id IS NULL");
        self.query.push(" OR created_at < ").push_bind(Timestamp::from_unix_micros(0));
        self.query.push(" OR created_at >= ").push_bind(Timestamp::from_unix_micros(ids::END));
        if let Some(micros) = ids::first_micros(id) {
            self.query.push(" OR created_at >= ").push_bind(Timestamp::from_unix_micros(micros));
            self.query.push(" AND created_at < ").push_bind(Timestamp::from_unix_micros(micros + 1_000));
        }
        self.query.push(")");
    }

    /// A text in a place that an index serves.
    fn indexed(&mut self, at: &Indexed) {
        let target = |name: &str, value: String| serde_json::json!([{ name: value }]).to_string();
        match at {
            Indexed::Id(id) => self.is_id(*id),
            Indexed::Entity(id) => drop(self.query.push("entity_id = ").push_bind(*id)),
            Indexed::OldKey(key) => {
                let data: Json = [("$entity_id", key.as_str())].into_iter().collect();
                let data = without_nul_escapes(&data.to_string()).into_owned();
                self.query.push("entity_id IS NULL AND data @> ").push_bind(data).push("::jsonb");
            }
            Indexed::TargetId(id) => {
                self.query.push("targets @> ").push_bind(target("id", id.to_string())).push("::jsonb");
            }
            Indexed::TargetKey(key) => {
                self.query.push("targets @> ").push_bind(target("key", key.clone())).push("::jsonb");
            }
            Indexed::Correlation(id) => drop(self.query.push("correlation_id = ").push_bind(*id)),
            Indexed::Cause(id) => drop(self.query.push("causation_id = ").push_bind(*id)),
            Indexed::Batch(id) => drop(self.query.push("batch_id = ").push_bind(*id)),
            Indexed::Actor(actor) => drop(self.query.push("actor = ").push_bind(actor.clone())),
            Indexed::Tenant(tenant) => drop(self.query.push("tenant = ").push_bind(tenant.clone())),
            Indexed::EventType(kind) => drop(self.query.push("event_type = ").push_bind(kind.clone())),
        }
    }

    /// The entity of the event: its id, or the text that older versions stored in place of that.
    fn entity(&mut self, entity: &Entity) {
        self.then("entity_type = ").push_bind(entity.kind.clone());
        match *entity.ids() {
            [id] => drop(self.then("(entity_id = ").push_bind(id)),
            _ => drop(self.then("(entity_id = ANY (").push_bind(entity.ids()).push(")")),
        }
        if let Some(data) = entity.old_data() {
            let data = without_nul_escapes(&data.storable().to_string()).into_owned();
            self.query.push(" OR entity_id IS NULL AND data @> ").push_bind(data).push("::jsonb");
        }
        self.query.push(")");
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

    /// A column that contains one of these values. They are texts on their way, for a number of
    /// `serde_json` is rounded.
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
