//! A trail for people.

use audit_runtime::Json;
use audit_runtime::trail::TrailEvent;
use std::collections::HashMap;
use std::fmt::Write;
use uuid::Uuid;

/// One line an event: when, what, who, how long, and the data. Events inside a call are indented
/// below it.
pub fn timeline(title: &str, events: &[TrailEvent]) -> String {
    let mut text = format!("{title}\n");
    let Some(first) = events.first() else {
        text.push_str("  (nothing)\n");
        return text;
    };
    let mut depths: HashMap<Uuid, usize> = HashMap::new();
    for event in events {
        let depth = event.causation_id.and_then(|cause| depths.get(&cause)).map_or(0, |depth| depth + 1);
        depths.insert(event.id, depth);
        let offset = event.created_at.duration_since(first.created_at).unwrap_or_default().as_micros();
        let name = format!("{}{}", "  ".repeat(depth), event.event_type);
        let duration = event.duration_us.map_or_else(String::new, |micros| format!("{micros} us"));
        let _ = writeln!(
            text,
            "  +{offset:>6} us  {name:<27} {outcome:<11} {actor:<22} {duration:>7}  {data}",
            outcome = event.outcome_text(),
            actor = event.actor,
            data = data(&event.data),
        );
    }
    text
}

/// `key=value`, without ids and what is empty.
fn data(data: &Json) -> String {
    let Some(object) = data.as_object() else {
        return data.to_string();
    };
    let shown = |key: &str, value: &Json| !key.ends_with("_id") && !value.is_null() && value.as_array() != Some(&[]);
    let parts: Vec<String> = object
        .iter()
        .filter(|(key, value)| shown(key, value))
        .map(|(key, value)| match value {
            Json::String(text) => format!("{key}={text}"),
            error if key == "error" && error.is_object() => format!("error={}", error["message"]),
            other => format!("{key}={other}"),
        })
        .collect();
    parts.join(" ")
}
