//! A filter that is applied outside of PostgreSQL: to events that a lake contains.

use super::cursor::Cursor;
use super::filter::EventFilter;
use crate::capture::Json;
use crate::capture::nul::without_nul;
use crate::event::Timestamp;
use crate::record::TrailEvent;
use uuid::Uuid;

/// The conditions of a filter by which parts of a lake are left out unread.
#[doc(hidden)]
#[derive(Debug, Clone, Default)]
pub struct Needed {
    /// The event's id.
    pub id: Option<Uuid>,
    /// Lists of ids. For each list, the event concerns an entity with one of them.
    pub entities: Vec<Vec<Uuid>>,
    /// The request or process.
    pub correlation: Option<Uuid>,
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The moment behind the last.
    pub until: Option<Timestamp>,
}

#[doc(hidden)]
impl EventFilter {
    /// Returns the conditions by which parts of a lake are left out unread.
    #[must_use]
    pub fn needed(&self) -> Needed {
        let mut entities = Vec::new();
        entities.extend(self.entity_id.map(|id| vec![id]));
        entities.extend(self.entity.as_ref().map(crate::record::Entity::ids));
        entities.extend(self.target.as_ref().map(|target| target.id.into_iter().collect()));
        let (mut since, mut until) = (self.since, self.until);
        let at_least = |since: Option<Timestamp>, time| Some(since.map_or(time, |since: Timestamp| since.max(time)));
        let at_most = |until: Option<Timestamp>, time: Timestamp| {
            let behind = time.saturating_add(std::time::Duration::from_micros(1));
            // Nothing is behind the infinity.
            if time.is_finite() { Some(until.map_or(behind, |until: Timestamp| until.min(behind))) } else { until }
        };
        match self.after {
            Some(after) if self.newest_first => until = at_most(until, after.created_at),
            Some(after) => since = at_least(since, after.created_at),
            None => {}
        }
        if let Some(before) = self.before {
            until = at_most(until, before.created_at);
        }
        Needed { id: self.id, entities, correlation: self.correlation, since, until }
    }

    /// Returns the most events of a page.
    #[must_use]
    pub fn most(&self) -> usize {
        self.page_size()
    }

    /// Returns whether an event matches, as PostgreSQL would find it.
    ///
    /// The filter has no text that is looked for everywhere: those are PostgreSQL's alone.
    #[must_use]
    pub fn matches(&self, event: &TrailEvent) -> bool {
        self.is_of(event) && self.is_within(event) && self.contains(event)
    }

    fn is_of(&self, event: &TrailEvent) -> bool {
        let one_of = |lists: &[Vec<String>], text: Option<&str>| {
            lists.iter().all(|list| text.is_some_and(|text| list.iter().any(|known| without_nul(known) == text)))
        };
        let entity = |entity: &crate::record::Entity| {
            let is_old = || entity.old_data().is_some_and(|data| contains(&event.data, &data));
            let is_it = event.entity_id.map(|id| entity.ids().contains(&id));
            event.entity_type == entity.kind && is_it.unwrap_or_else(is_old)
        };
        let target = |target: &crate::record::Entity| {
            let wanted = target.target().and_then(|wanted| wanted.parse::<Json>().ok());
            wanted.is_some_and(|wanted| event.targets.as_ref().is_some_and(|targets| contains(targets, &wanted)))
        };
        let is = |wanted: Option<Uuid>, found: Option<Uuid>| wanted.is_none_or(|id| found == Some(id));
        self.id.is_none_or(|id| id == event.id)
            && (self.events.is_empty() || self.events.iter().any(|glob| is_like(&event.event_type, glob)))
            && !self.not_events.iter().any(|known| without_nul(known) == event.event_type)
            && self.entity_type.as_ref().is_none_or(|kind| without_nul(kind) == event.entity_type)
            && one_of(&self.entity_types, Some(&event.entity_type))
            && one_of(&self.tenants, event.tenant.as_deref())
            && is(self.entity_id, event.entity_id)
            && self.entity.as_ref().is_none_or(entity)
            && self.target.as_ref().is_none_or(target)
            && self.tenant.as_ref().is_none_or(|tenant| event.tenant.as_ref() == Some(tenant))
            && self.actor.as_ref().is_none_or(|actor| without_nul(actor) == event.actor)
            && (self.outcomes.is_empty() || self.outcomes.iter().any(|known| known == event.outcome_text()))
            && is(self.correlation, event.correlation_id)
            && is(self.causation, event.causation_id)
            && self.origin.as_ref().is_none_or(|glob| event.origin.as_ref().is_some_and(|text| is_like(text, glob)))
            && is(self.batch, event.batch_id)
            && !(self.unbatched && event.batch_id.is_some())
    }

    fn is_within(&self, event: &TrailEvent) -> bool {
        let place = (event.created_at, event.id);
        let behind = |Cursor { created_at, id }: Cursor| {
            if self.newest_first { place < (created_at, id) } else { place > (created_at, id) }
        };
        let micros = self.at_least.map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
        self.since.is_none_or(|since| event.created_at >= since)
            && self.until.is_none_or(|until| event.created_at < until)
            && micros.is_none_or(|micros| event.duration_us.is_some_and(|took| took >= micros))
            && self.after.is_none_or(behind)
            && self.before.is_none_or(|before| place < (before.created_at, before.id))
    }

    fn contains(&self, event: &TrailEvent) -> bool {
        let any = |lists: &[Vec<Json>], json: Option<&Json>| {
            lists.iter().all(|parts| json.is_some_and(|json| parts.iter().any(|part| contains(json, &part.storable()))))
        };
        any(&self.data, Some(&event.data)) && any(&self.context, event.context.as_ref())
    }
}

/// Returns whether a text is like a pattern, in which `*` stands for any text.
fn is_like(text: &str, glob: &str) -> bool {
    let glob = without_nul(glob);
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Returns whether a value contains another one, as `jsonb` defines it (`@>`).
fn contains(value: &Json, part: &Json) -> bool {
    // An array may contain a value that is no array, and only at the top.
    match (value, part) {
        (Json::Array(values), part) if !part.is_array() && !part.is_object() => {
            values.iter().any(|value| value == part)
        }
        _ => is_within(value, part),
    }
}

fn is_within(value: &Json, part: &Json) -> bool {
    match (value, part) {
        (Json::Object(members), Json::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| members.get(name).is_some_and(|member| is_within(member, wanted)))
        }
        (Json::Array(values), Json::Array(wanted)) => {
            wanted.iter().all(|wanted| values.iter().any(|value| is_within(value, wanted)))
        }
        (value, part) => value == part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_the_texts_that_like_finds() {
        for (text, glob, is) in [
            ("order.submitted", "order.*", true),
            ("order.submitted", "order", false),
            ("order", "order", true),
            ("order.a.b", "*.a*b", true),
            ("aba", "ab*ba", false),
            ("abba", "ab*ba", true),
            ("", "*", true),
            ("x", "", false),
            ("abcbc", "a*bc", true),
        ] {
            assert_eq!(is_like(text, glob), is, "{text} {glob}");
        }
    }

    #[test]
    fn a_value_contains_what_jsonb_says() {
        for (value, part, is) in [
            (r#"{"a":1,"b":2}"#, r#"{"a":1.0}"#, true),
            (r#"{"a":{"b":[1,2]}}"#, r#"{"a":{"b":[2]}}"#, true),
            (r#"{"a":1}"#, r#"{"b":1}"#, false),
            (r#"["a","b"]"#, r#""a""#, true),
            (r#"[["a"]]"#, r#""a""#, false),
            (r#"[["a","b"]]"#, r#"[["a"]]"#, true),
            (r#"{"a":["x"]}"#, r#"{"a":"x"}"#, false),
            (r#"{}"#, r#"{}"#, true),
            (r#"[{"type":"account","id":"1","key":"x"}]"#, r#"[{"type":"account","id":"1"}]"#, true),
            (r#"199.39999999999998"#, r#"199.4"#, false),
        ] {
            let read = |text: &str| text.parse::<Json>().unwrap();
            assert_eq!(contains(&read(value), &read(part)), is, "{value} {part}");
        }
    }
}
