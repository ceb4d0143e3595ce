//! A trail for people.

use audit_runtime::TrailEvent;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;
use uuid::Uuid;

/// One line an event: when, what, who, how long, and the data; events inside a call are indented below it.
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
        let offset = (event.created_at - first.created_at).num_microseconds().unwrap_or(0);
        let name = format!("{}{}", "  ".repeat(depth), event.event_type);
        let duration = event.duration_us.map_or_else(String::new, |micros| format!("{micros} us"));
        let _ = writeln!(
            text,
            "  +{offset:>6} us  {name:<27} {outcome:<11} {actor:<22} {duration:>7}  {data}",
            outcome = event.outcome,
            actor = event.actor,
            data = data(&event.data),
        );
    }
    text
}

/// `key=value`, without ids and what is empty.
fn data(data: &Value) -> String {
    let Some(object) = data.as_object() else {
        return data.to_string();
    };
    let shown =
        |key: &str, value: &Value| !key.ends_with("_id") && !value.is_null() && *value != Value::Array(Vec::new());
    let parts: Vec<String> = object
        .iter()
        .filter(|(key, value)| shown(key, value))
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}={text}"),
            Value::Object(error) if key == "error" => {
                format!("error={}", error.get("message").unwrap_or(&Value::Null))
            }
            other => format!("{key}={other}"),
        })
        .collect();
    parts.join(" ")
}
