//! Events for programs: JSON, CSV, CloudEvents.

use crate::text::{columns, elided, harmless, has_unseen};
use audit_runtime::Json;
use audit_runtime::trail::TrailEvent;
use std::borrow::Cow;
use uuid::Uuid;

/// The columns of CSV.
pub(crate) const COLUMNS: [&str; 18] = [
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
    "intent",
    "entity_key",
    "targets",
    "tenant",
];

/// Returns a row of CSV: a column that is NULL is empty. A spreadsheet takes no cell for a formula,
/// unless cells are to be `raw`.
pub(crate) fn record(event: &TrailEvent, raw: bool) -> [String; 18] {
    let id = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.to_string());
    let cells = [
        event.id.to_string(),
        event.event_type.clone(),
        event.entity_type.clone(),
        id(event.entity_id),
        event.actor.clone(),
        event.data.to_string(),
        event.created_at.to_string(),
        event.outcome_text().to_owned(),
        event.duration_us.map_or_else(String::new, |micros| micros.to_string()),
        id(event.correlation_id),
        id(event.causation_id),
        event.context.as_ref().map_or_else(String::new, Json::to_string),
        event.origin.clone().unwrap_or_default(),
        id(event.batch_id),
        event
            .intent
            .and_then(|intent| serde_json::to_value(intent).ok()?.as_str().map(str::to_owned))
            .unwrap_or_default(),
        event.entity_key.clone().unwrap_or_default(),
        event.targets.as_ref().map_or_else(String::new, Json::to_string),
        event.tenant.clone().unwrap_or_default(),
    ];
    let mut number = 0;
    cells.map(|cell| {
        let is_number = COLUMNS[number] == "duration_us";
        number += 1;
        if raw || is_number { cell } else { without_formula(cell) }
    })
}

/// Puts an apostrophe before a cell that a spreadsheet would take for a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>), also behind blanks and invisible
/// characters.
pub(crate) fn without_formula(cell: String) -> String {
    let is_skipped = |c: char| c.is_whitespace() || has_unseen(c.encode_utf8(&mut [0; 4]));
    let begins_formula =
        |c: char| matches!(c, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}');
    let is_formula =
        cell.starts_with(['\t', '\r', '\n']) || cell.trim_start_matches(is_skipped).starts_with(begins_formula);
    if is_formula { format!("'{cell}") } else { cell }
}

/// Returns a CloudEvent 1.0 in its JSON format
/// (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>). A field
/// without an attribute there is an extension, by its name without underscores. A time that RFC
/// 3339 cannot express is the extension `createdat`.
pub(crate) fn cloud_event(event: &TrailEvent) -> Json {
    let source = event.origin.as_deref().filter(|origin| !origin.is_empty()).map(uri_reference);
    let time = if event.created_at.is_rfc_3339() { "time" } else { "createdat" };
    let id = |id: Option<Uuid>| id.map(|id| id.to_string());
    let intent = event.intent.and_then(|intent| serde_json::to_value(intent).ok()).map(|intent| Json::from(&intent));
    let attributes: [(&str, Option<Json>); 21] = [
        ("specversion", Some("1.0".into())),
        ("id", Some(event.id.to_string().into())),
        ("source", Some(source.unwrap_or_else(|| "/audit_events".into()).into())),
        ("type", Some(event.event_type.as_str().into())),
        (time, Some(event.created_at.to_string().into())),
        ("datacontenttype", Some("application/json".into())),
        ("data", Some(event.data.clone())),
        ("entitytype", Some(event.entity_type.as_str().into())),
        ("actor", Some(event.actor.as_str().into())),
        ("outcome", Some(event.outcome_text().into())),
        ("subject", event.entity_id.map(|id| format!("{}/{id}", event.entity_type).into())),
        ("correlationid", id(event.correlation_id).map(Into::into)),
        ("causationid", id(event.causation_id).map(Into::into)),
        // An integer there has 32 bits.
        ("durationus", event.duration_us.map(|micros| micros.to_string().into())),
        ("context", event.context.as_ref().map(|context| context.to_string().into())),
        ("origin", event.origin.as_deref().map(Into::into)),
        ("batchid", id(event.batch_id).map(Into::into)),
        ("intent", intent),
        ("entitykey", event.entity_key.as_deref().map(Into::into)),
        ("targets", event.targets.as_ref().map(|targets| targets.to_string().into())),
        ("tenant", event.tenant.as_deref().map(Into::into)),
    ];
    attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// `service@host:pid` as a relative reference: what RFC 3986 does not allow in a path is
/// percent-encoded.
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

/// The key of the entity, or its id; of an event of an older version, the text that stands in its place in the data.
pub(crate) fn entity_key(event: &TrailEvent) -> Option<Cow<'_, str>> {
    let text =
        || event.data.get("$entity_id").map(|key| key.as_str().map_or_else(|| key.to_string().into(), Cow::Borrowed));
    let key = event.entity_key.as_deref().map(Cow::Borrowed);
    key.or_else(|| event.entity_id.map(|id| id.to_string().into())).or_else(text)
}

/// The entity for people: of an id that is not shown as a whole, its end.
pub(crate) fn entity(event: &TrailEvent, is_whole: bool) -> String {
    harmless(&match entity_key(event) {
        Some(key) if is_whole => format!("{} {key}", event.entity_type),
        Some(key) => format!("{} {}", event.entity_type, short(&key)),
        None => event.entity_type.clone(),
    })
}

/// Returns the entity in at most so many columns: the type gives way before the key.
pub(crate) fn fitted_entity(entity: &str, width: usize) -> String {
    /// Less of a type is meaningless.
    const LEAST_TYPE: usize = 3;
    match entity.split_once(' ') {
        Some((kind, key)) if columns(entity) > width && columns(key) + 1 + LEAST_TYPE <= width => {
            format!("{} {key}", elided(kind, width - columns(key) - 1))
        }
        _ => elided(entity, width),
    }
}

/// The end of an id: ids that were made within a minute begin alike.
pub(crate) fn short(key: &str) -> String {
    if is_uuid(key) { format!("\u{2026}{}", &key[28..]) } else { key.to_owned() }
}

/// Returns whether a text is a UUID with hyphens.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_becomes_a_formula() {
        for (cell, expected) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("@SUM(1)", "'@SUM(1)"),
            ("-1+1", "'-1+1"),
            ("+1", "'+1"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("\n=1", "'\n=1"),
            ("\nann", "'\nann"),
            (" =1", "' =1"),
            ("\u{a0}\u{200b}\u{feff}=1", "'\u{a0}\u{200b}\u{feff}=1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\u{ff0b}1", "'\u{ff0b}1"),
            ("\u{ff0d}1", "'\u{ff0d}1"),
            ("\u{ff20}SUM(1)", "'\u{ff20}SUM(1)"),
            (" ann", " ann"),
            ("-infinity", "'-infinity"),
            ("ann", "ann"),
            ("'=1", "'=1"),
        ] {
            assert_eq!(without_formula(cell.into()), expected);
        }
    }

    #[test]
    fn the_type_of_an_entity_gives_way_before_its_key() {
        for (entity, width, expected) in [
            ("order \u{2026}5c4b3921", 15, "order \u{2026}5c4b3921"),
            ("recommendation \u{2026}5c4b3921", 15, "reco\u{2026} \u{2026}5c4b3921"),
            ("order \u{2026}5c4b3921", 11, "order \u{2026}5c4\u{2026}"),
            ("invoice INV-2026-0007", 17, "in\u{2026} INV-2026-0007"),
            ("desk", 3, "de\u{2026}"),
        ] {
            assert_eq!(fitted_entity(entity, width), expected);
        }
    }
}
