//! An event's data and context in one line.

use crate::text::{elided, harmless};
use audit_runtime::{Json, TrailEvent};
use std::fmt::Write as _;

/// A value is not shown beyond this, unless all of it is asked for.
const LONGEST_VALUE: usize = 48;

/// Of a change, each side has half of that.
const LONGEST_SIDE: usize = 23;

/// Collects `key=value`.
struct Parts {
    line: String,
    is_whole: bool,
}

impl Parts {
    fn new(is_whole: bool) -> Self {
        Self { line: String::new(), is_whole }
    }

    fn put(&mut self, key: &str, value: &str) {
        let value = if self.is_whole { value.to_owned() } else { elided(value, LONGEST_VALUE) };
        let space = if self.line.is_empty() { "" } else { " " };
        let _ = write!(self.line, "{space}{}={value}", harmless(key));
    }
}

/// Returns an event's data: first why it failed, then each leaf that changed, then every other value. Ids that end in `_id` come last, and empty
/// values only where all is asked for.
pub(crate) fn data(event: &TrailEvent, is_whole: bool) -> String {
    let Some(data) = event.data.as_object() else {
        return harmless(&event.data.to_string());
    };
    let mut parts = Parts::new(is_whole);
    if let Some(error) = data.get("error") {
        let causes = error.get("causes").and_then(Json::as_array).unwrap_or_default();
        match error.get("message") {
            // As the library writes it.
            Some(message)
                if error
                    .as_object()
                    .is_some_and(|error| error.keys().all(|key| key == "message" || key == "causes")) =>
            {
                parts.put("error", &value(message));
                if is_whole && !causes.is_empty() {
                    parts.put("causes", &value(&error["causes"]));
                }
            }
            _ => parts.put("error", &value(error)),
        }
    }
    let changes = event.changes();
    for change in &changes {
        let side = |side: Option<&Json>| {
            let side = side.map_or_else(|| "-".into(), value);
            if is_whole { side } else { elided(&side, LONGEST_SIDE) }
        };
        let is_note = change.path.rsplit('.').next().is_some_and(|last| last.starts_with('$'));
        match (change.from, change.to) {
            // A note in place of both.
            (None, Some(note)) if is_note || note == "[redacted]" => parts.put(&change.path, &value(note)),
            (from, to) => parts.put(&change.path, &format!("{}\u{2192}{}", side(from), side(to))),
        }
    }
    let is_told = |key: &str| match key {
        "error" => true,
        "changes" => !changes.is_empty(),
        // It is the entity's key.
        "$entity_id" => event.entity_id.is_none(),
        _ => false,
    };
    let is_empty = |value: &Json| match value {
        Json::Null => true,
        Json::Array(values) => values.is_empty(),
        Json::Object(members) => members.is_empty(),
        _ => false,
    };
    let rest = data.iter().filter(|(key, value)| !is_told(key) && (is_whole || !is_empty(value)));
    let (ids, values): (Vec<_>, Vec<_>) = rest.partition(|(key, _)| key.ends_with("_id"));
    for (key, content) in values.into_iter().chain(ids) {
        parts.put(key, &value(content));
    }
    parts.line
}

/// Returns the attributes of an event's context.
pub(crate) fn context(event: &TrailEvent, is_whole: bool) -> String {
    let mut parts = Parts::new(is_whole);
    match &event.context {
        Some(Json::Object(attributes)) => {
            // A trace is for machines.
            let attributes = attributes.iter().filter(|(key, _)| is_whole || (*key != "trace_id" && *key != "span_id"));
            attributes.for_each(|(key, content)| parts.put(&format!("context.{key}"), &value(content)));
        }
        Some(other) => parts.put("context", &value(other)),
        None => {}
    }
    parts.line
}

/// Returns what no other part of a line shows.
pub(crate) fn other_columns(event: &TrailEvent) -> String {
    let mut parts = Parts::new(true);
    parts.put("id", &event.id.to_string());
    for (key, id) in [("cause", event.causation_id), ("batch", event.batch_id)] {
        if let Some(id) = id {
            parts.put(key, &id.to_string());
        }
    }
    if let Some(origin) = &event.origin {
        parts.put("origin", &harmless(origin));
    }
    if let Some(intent) = event.intent {
        parts.put("intent", &value(&Json::from(intent.to_string())));
    }
    parts.line
}

/// Returns a value as it is shown: a text without quotes where it is one word.
fn value(value: &Json) -> String {
    match value.as_str() {
        Some(text) if text.contains([' ', '=', '"']) || text.is_empty() => harmless(&value.to_string()),
        Some(text) => harmless(text),
        None => harmless(&value.to_string()),
    }
}
