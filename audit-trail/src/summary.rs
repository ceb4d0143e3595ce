//! An event's data and context in one line.

use crate::format::{is_uuid, short};
use crate::text::{elided, harmless, harmless_json, has_unseen};
use audit_runtime::Json;
use audit_runtime::trail::{Change, TrailEvent};
use std::borrow::Cow;
use std::fmt::Write as _;

/// A value is not shown beyond this, unless all of it is asked for.
const LONGEST_VALUE: usize = 48;

/// Of a change, each side has half of that.
const LONGEST_SIDE: usize = 23;

/// The member of an event's data that has a policy's note.
const NOTE: &str = "$policy";

/// Collects `key=value`.
struct Parts {
    line: String,
    is_whole: bool,
}

impl Parts {
    fn new(is_whole: bool) -> Self {
        Self { line: String::new(), is_whole }
    }

    /// Adds a value that is shown already, by its key or the way to it.
    fn put(&mut self, key: &str, value: &str) {
        let value = if self.is_whole { value.to_owned() } else { elided(value, LONGEST_VALUE) };
        let space = if self.line.is_empty() { "" } else { " " };
        let _ = write!(self.line, "{space}{key}={value}");
    }

    /// Adds the members of an object, each by the name that it has in `prefix`.
    fn members<'a>(&mut self, prefix: &str, members: impl IntoIterator<Item = (&'a String, &'a Json)>) {
        for (name, content) in members {
            self.put(&format!("{prefix}{}", key(name)), &value(content));
        }
    }

    /// Adds why a call failed: the message, then all else that is known of the error.
    fn error(&mut self, error: &Json) {
        let Some(members) = error.as_object().filter(|members| !members.is_empty()) else {
            return self.put("error", &value(error));
        };
        if let Some(message) = members.get("message") {
            self.put("error", &value(message));
        }
        let is_list = |causes: &Json| causes.as_array().is_some_and(|causes| causes.iter().all(Json::is_string));
        for (name, content) in members {
            match name.as_str() {
                "message" => {}
                // As the library writes them: they are shown where all is asked for.
                "causes" if is_list(content) => {
                    if self.is_whole && content.as_array() != Some(&[]) {
                        self.put("causes", &value(content));
                    }
                }
                name => self.put(&format!("error.{}", key(name)), &value(content)),
            }
        }
    }

    /// Adds a word.
    fn word(&mut self, word: &str) {
        let space = if self.line.is_empty() { "" } else { " " };
        let _ = write!(self.line, "{space}{word}");
    }

    /// Adds an event's further entities, its tenant and its reason.
    fn about(&mut self, event: &TrailEvent) {
        match event.targets.as_ref().map(|targets| (self::targets(targets, self.is_whole), targets)) {
            Some((Some(shown), _)) => self.word(&format!("\u{2192}{shown}")),
            Some((None, targets)) => self.put("targets", &value(targets)),
            None => {}
        }
        if let Some(tenant) = &event.tenant {
            self.put("tenant", &value(&tenant.as_str().into()));
        }
        if let Some(reason) = reason(event) {
            self.put("reason", &value(&reason.into()));
        }
    }

    /// Adds the leaves that changed, and every other value.
    fn data(&mut self, event: &TrailEvent) {
        let Some(data) = event.data.as_object() else {
            return self.word(&harmless_json(&event.data.to_string()));
        };
        let is_whole = self.is_whole;
        let changes = event.changes();
        changes.iter().for_each(|change| self.change(change));
        if let Some(others) = data.get("changes").and_then(Json::as_object).filter(|_| changes.is_empty()) {
            self.members("changes.", others);
        }
        let is_told = |key: &str, value: &Json| match key {
            "error" => true,
            "changes" => value.as_object().is_some_and(|changes| !changes.is_empty()),
            NOTE => value.as_object().is_some(),
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
        let rest = data.iter().filter(|(key, value)| !is_told(key, value) && (is_whole || !is_empty(value)));
        let (ids, values): (Vec<_>, Vec<_>) = rest.partition(|(key, _)| key.ends_with("_id"));
        let (uuids, keys): (Vec<_>, Vec<_>) = ids.into_iter().partition(|(_, id)| id.as_str().is_some_and(is_uuid));
        self.members("", keys.into_iter().chain(values));
        for (name, id) in uuids {
            let id = id.as_str().unwrap_or_default();
            self.put(&key(name), &if is_whole { id.to_owned() } else { short(id) });
        }
    }

    /// Adds what a policy did about the event.
    fn policy(&mut self, event: &TrailEvent) {
        let Some(notes) = event.data.get(NOTE).and_then(Json::as_object) else { return };
        for (name, note) in notes {
            match name.as_str() {
                "metadata_only" => {
                    let rule = note.as_str().map_or_else(|| note.to_string(), str::to_owned);
                    self.word(&harmless(&format!("metadata only (rule {rule})")));
                }
                "left_out" => self.word(&harmless(&format!("{note} before not recorded"))),
                // The timeline shows the cause in its own place.
                "cause_left_out" if !self.is_whole => {}
                name => self.put(&format!("policy.{}", key(name)), &value(note)),
            }
        }
    }

    /// Adds the attributes of the context.
    fn context(&mut self, event: &TrailEvent) {
        match &event.context {
            Some(Json::Object(attributes)) => {
                // A trace is for machines, and the reason is told.
                let is_shown = |key: &str| self.is_whole || (key != "trace_id" && key != "span_id");
                let is_told = |key: &str| key == "reason" && reason(event).is_some();
                let rest: Vec<_> = attributes.iter().filter(|(key, _)| is_shown(key) && !is_told(key)).collect();
                self.members("context.", rest);
            }
            Some(other) => self.put("context", &value(other)),
            None => {}
        }
    }

    /// Adds a leaf that changed.
    fn change(&mut self, change: &Change<'_>) {
        let side = |side: Option<&Json>| {
            let side = side.map_or_else(|| "-".into(), value);
            if self.is_whole { side } else { elided(&side, LONGEST_SIDE) }
        };
        let shown = change.note().map_or_else(|| format!("{}\u{2192}{}", side(change.from), side(change.to)), value);
        self.put(&harmless_json(&change.path), &shown);
    }
}

/// Returns what a line tells of an event: first why it failed, then whom else it is about, for which
/// tenant and why, then each leaf that changed, then every other value, then the context. Ids that
/// end in `_id` come first, UUIDs last, and empty values only where all is asked for.
pub(crate) fn line(event: &TrailEvent, is_whole: bool) -> String {
    let mut parts = Parts::new(is_whole);
    if let Some(error) = event.data.get("error") {
        parts.error(error);
    }
    parts.about(event);
    parts.policy(event);
    parts.data(event);
    parts.context(event);
    parts.line
}

/// Returns the rule by which an event's cause was not recorded.
pub(crate) fn cause_left_out(event: &TrailEvent) -> Option<String> {
    event.data.get(NOTE)?.get("cause_left_out")?.as_str().map(str::to_owned)
}

/// Returns the reason that the context names.
fn reason(event: &TrailEvent) -> Option<&str> {
    event.context.as_ref()?.get("reason")?.as_str()
}

/// Returns an event's further entities, its tenant and its reason.
pub(crate) fn about(event: &TrailEvent, is_whole: bool) -> String {
    let mut parts = Parts::new(is_whole);
    parts.about(event);
    parts.line
}

/// Returns further entities as `account:42,invoice:7`; `None` where another program wrote something else.
fn targets(targets: &Json, is_whole: bool) -> Option<String> {
    let target = |target: &Json| {
        let name = target.get("key").or_else(|| target.get("id"))?.as_str()?;
        let name = if is_whole { name.to_owned() } else { short(name) };
        Some(harmless(&format!("{}:{name}", target.get("type")?.as_str()?)))
    };
    Some(targets.as_array()?.iter().map(target).collect::<Option<Vec<_>>>()?.join(","))
}

/// Returns what no other part of a line shows.
pub(crate) fn other_columns(event: &TrailEvent) -> String {
    let mut parts = Parts::new(true);
    parts.put("id", &event.id.to_string());
    let id_of_key = event.entity_id.filter(|_| event.entity_key.is_some());
    for (key, id) in [("entity_id", id_of_key), ("cause", event.causation_id), ("batch", event.batch_id)] {
        if let Some(id) = id {
            parts.put(key, &id.to_string());
        }
    }
    if let Some(origin) = &event.origin {
        parts.put("origin", &value(&origin.as_str().into()));
    }
    if let Some(intent) = event.intent {
        parts.put("intent", &value(&Json::from(intent.to_string())));
    }
    parts.line
}

/// Returns a value as it is shown: a text without quotes where it cannot be mistaken for another
/// value.
pub(crate) fn value(value: &Json) -> String {
    match value.as_str() {
        // A text that reads as a number is not that number, and `-` stands for no value.
        Some(text) if is_word(text) && text != "-" && text.parse::<Json>().is_err() => text.to_owned(),
        _ => harmless_json(&value.to_string()),
    }
}

/// Returns a name as it is shown, likewise.
fn key(name: &str) -> Cow<'_, str> {
    if is_word(name) { name.into() } else { harmless_json(&Json::from(name).to_string()).into() }
}

fn is_word(text: &str) -> bool {
    let is_used_here = |c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\u{2192}' | '\u{2026}');
    !text.is_empty() && !text.contains(is_used_here) && !has_unseen(text)
}
