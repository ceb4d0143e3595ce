//! Events for programs: JSON, CSV, CloudEvents.

use crate::timeline::iso;
use audit_runtime::TrailEvent;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The columns of CSV and of tables.
pub(crate) const COLUMNS: [&str; 14] = [
    "id",
    "event_type",
    "entity_type",
    "entity_id",
    "actor",
    "data",
    "created_at",
    "outcome",
    "duration_us",
    "correlation_id",
    "causation_id",
    "context",
    "origin",
    "batch_id",
];

/// A row of CSV: what is NULL is empty.
pub(crate) fn record(event: &TrailEvent) -> [String; 14] {
    let id = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.to_string());
    [
        event.id.to_string(),
        event.event_type.clone(),
        event.entity_type.clone(),
        id(event.entity_id),
        event.actor.clone(),
        event.data.to_string(),
        iso(event.created_at),
        event.outcome.to_string(),
        event.duration_us.map_or_else(String::new, |micros| micros.to_string()),
        id(event.correlation_id),
        id(event.causation_id),
        event.context.as_ref().map_or_else(String::new, Value::to_string),
        event.origin.clone().unwrap_or_default(),
        id(event.batch_id),
    ]
}

/// A CloudEvent 1.0 in its JSON format (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>). What has no
/// attribute there is an extension, by its name without underscores.
pub(crate) fn cloud_event(event: &TrailEvent) -> Value {
    let source = event.origin.as_deref().filter(|origin| !origin.is_empty()).map(uri_reference);
    let mut cloud = Map::from_iter([
        ("specversion".to_owned(), json!("1.0")),
        ("id".to_owned(), json!(event.id)),
        ("source".to_owned(), json!(source.unwrap_or_else(|| "/audit_events".into()))),
        ("type".to_owned(), json!(event.event_type)),
        ("time".to_owned(), json!(iso(event.created_at))),
        ("datacontenttype".to_owned(), json!("application/json")),
        ("data".to_owned(), event.data.clone()),
        ("entitytype".to_owned(), json!(event.entity_type)),
        ("actor".to_owned(), json!(event.actor)),
        ("outcome".to_owned(), json!(event.outcome)),
    ]);
    let subject = event.entity_id.map(|id| format!("{}/{id}", event.entity_type));
    // An integer there has 32 bits.
    let duration = event.duration_us.map(|micros| micros.to_string());
    for (name, value) in [
        ("subject", subject),
        ("correlationid", event.correlation_id.map(|id| id.to_string())),
        ("causationid", event.causation_id.map(|id| id.to_string())),
        ("durationus", duration),
        ("context", event.context.as_ref().map(Value::to_string)),
    ] {
        if let Some(value) = value {
            cloud.insert(name.to_owned(), json!(value));
        }
    }
    Value::Object(cloud)
}

/// `service@host:pid` as a relative reference: what RFC 3986 does not allow in a path is percent-encoded.
fn uri_reference(origin: &str) -> String {
    let mut reference = String::from("/");
    for byte in origin.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b':' => {
                reference.push(byte.into())
            }
            other => reference.push_str(&format!("%{other:02X}")),
        }
    }
    reference
}
