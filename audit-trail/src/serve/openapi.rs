//! The OpenAPI document of the JSON forms, made of the same list of parameters that is read.

use super::answer::json;
use super::question::PARAMETERS;
use axum::response::Response;
use serde_json::{Map, Value, json};

/// Parameters that may be given several times.
const SEVERAL: [&str; 4] = ["event", "outcome", "where", "context"];
const IDS: [&str; 4] = ["entity_id", "correlation", "causation", "batch"];
const FLAGS: [&str; 4] = ["own", "check", "look", "count"];

/// `/openapi.json`
pub(super) async fn get() -> Response {
    json(&document())
}

fn schema(name: &str) -> Value {
    let one = if IDS.contains(&name) {
        json!({"type": "string", "format": "uuid"})
    } else if FLAGS.contains(&name) {
        json!({"type": "string", "enum": ["0", "1"]})
    } else if name == "order" {
        json!({"type": "string", "enum": ["newest", "oldest"]})
    } else {
        json!({"type": "string", "minLength": 1})
    };
    if SEVERAL.contains(&name) { json!({"type": "array", "items": one}) } else { one }
}

fn parameters(without: &[&str]) -> Vec<Value> {
    let parameter = |(name, text): &(&str, &str)| json!({"name": name, "in": "query", "required": false, "description": text, "schema": schema(name), "style": "form", "explode": true});
    PARAMETERS.iter().filter(|(name, _)| !without.contains(name)).map(parameter).collect()
}

fn in_path(name: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": schema})
}

fn answers(content: &Value) -> Value {
    let problem = json!({"description": "The reason, in words.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
    json!({
        "200": {"description": "The answer.", "content": content},
        "400": problem, "401": problem, "403": problem, "404": problem, "408": problem, "409": problem, "421": problem, "429": problem, "503": problem,
    })
}

fn operation(summary: &str, parameters: Vec<Value>, schema: &str) -> Value {
    let content = json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}});
    json!({"get": {"summary": summary, "parameters": parameters, "responses": answers(&content)}})
}

/// The document.
pub(crate) fn document() -> Value {
    let uuid = json!({"type": "string", "format": "uuid"});
    let text = json!({"type": "string", "minLength": 1});
    let with = |first: Vec<Value>, without: &[&str]| first.into_iter().chain(parameters(without)).collect::<Vec<_>>();
    // A timeline has no search for a text.
    let timeline = ["find"];
    let plain: Vec<&str> =
        PARAMETERS.iter().map(|(name, _)| *name).filter(|name| !matches!(*name, "tz" | "order" | "own")).collect();
    let mut paths = Map::new();
    let mut path = |path: &str, operation: Value| paths.insert(path.to_owned(), operation);
    path("/events.json", operation("Searches events.", with(vec![], &["count"]), "List"));
    path(
        "/event/{id}.json",
        operation("Returns one event, checked now.", with(vec![in_path("id", &uuid)], &plain), "Event"),
    );
    path("/event/{id}/proof.json", operation("Returns the proof of an event.", vec![in_path("id", &uuid)], "Proof"));
    path(
        "/entity/{type}/{key}.json",
        operation(
            "Lists the events of an entity.",
            with(vec![in_path("type", &text), in_path("key", &text)], &timeline),
            "List",
        ),
    );
    for (name, summary, schema) in [
        ("actor", "Lists the events of an actor.", &text),
        ("tenant", "Lists the events about data of a tenant.", &text),
        ("correlation", "Lists the events of a request or process.", &uuid),
        ("batch", "Lists the events of a batch.", &uuid),
    ] {
        let parameters = with(vec![in_path("id", schema)], &timeline);
        path(&format!("/{name}/{{id}}.json"), operation(summary, parameters, "List"));
    }
    let before = json!({"name": "before", "in": "query", "required": false, "schema": {"type": "string"}, "description": "Where the page before ended."});
    path("/batches.json", operation("Lists batches, newest first.", with(vec![before], &plain), "Batches"));
    path("/checkpoints.json", operation("Lists the newest 100 checkpoints.", with(vec![], &plain), "Checkpoints"));
    let number = json!({"type": "integer", "format": "int64", "minimum": 1});
    path(
        "/checkpoint/{id}.json",
        operation("Returns one checkpoint.", with(vec![in_path("id", &number)], &plain), "Checkpoint"),
    );
    path("/status.json", operation("Returns the state of the trail.", with(vec![], &plain), "Status"));
    path(
        "/catalogue.json",
        operation(
            "Lists the functions that services audit, with their fields and rules.",
            with(vec![], &plain),
            "Catalogue",
        ),
    );
    for (form, kind) in
        [("ndjson", "application/x-ndjson"), ("csv", "text/csv"), ("cloudevents", "application/x-ndjson")]
    {
        let content = json!({kind: {"schema": {"type": "string"}}});
        let summary = "Exports all events that match, oldest first. The last line states the rows and a SHA-256.";
        let operation =
            json!({"get": {"summary": summary, "parameters": parameters(&timeline), "responses": answers(&content)}});
        path(&format!("/export.{form}"), operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "audit-trail serve",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Reads the audit trail. Each request is recorded in the trail with the name of the user.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "security": [{"token": []}, {}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
        },
    })
}

fn schemas() -> Value {
    let or_null = |kind: &str| json!({"type": [kind, "null"]});
    let step = json!({
        "type": "object",
        "required": ["state"],
        "properties": {"state": {"enum": ["passed", "failed", "not_checked", "unknown"]}, "why": or_null("string")},
    });
    let list = |item: &str| json!({"type": "array", "items": {"$ref": format!("#/components/schemas/{item}")}});
    json!({
        "Proof": {"type": "object", "description": "The proof, as docs/evidence.md states its form."},
        "Batch": {
            "type": "object",
            "required": ["id", "created_at", "origin", "rows", "journal_id", "first_position", "end_position", "is_sealed", "pruned"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "created_at": {"type": "string"},
                "origin": {"type": "string"},
                "rows": {"type": "integer", "minimum": 0},
                "journal_id": {"type": "string", "format": "uuid"},
                "first_position": {"type": "integer"},
                "end_position": {"type": "integer"},
                "is_sealed": {"type": "boolean"},
                "root": or_null("string"),
                "previous_root": or_null("string"),
                "number": or_null("integer"),
                "checkpoint": or_null("integer"),
                "pruned": {"type": "integer", "minimum": 0},
            },
        },
        "Batches": {
            "type": "object",
            "required": ["rows", "before"],
            "properties": {"rows": list("Batch"), "before": or_null("string")},
        },
        "Checkpoint": {
            "type": "object",
            "required": ["id", "created_at", "batches", "note", "signature"],
            "properties": {
                "id": {"type": "integer"},
                "created_at": {"type": "string"},
                "batches": {"type": "integer", "minimum": 0},
                "note": {"type": "string"},
                "signature": {
                    "description": "The name of the key that has signed it, or why the key has not; null without a key.",
                    "type": ["object", "null"],
                    "properties": {"Ok": {"type": "string"}, "Err": {"type": "string"}},
                },
            },
        },
        "Checkpoints": list("Checkpoint"),
        "Catalogue": {"type": "array", "items": {
            "type": "object",
            "required": ["service", "first_version", "last_version", "is_current", "rules"],
            "properties": {
                "service": {"type": "string"},
                "first_version": {"type": "string"},
                "last_version": {"type": "string"},
                "is_current": {"type": "boolean"},
                "rules": {"type": "array", "items": {"type": "string"}},
            },
        }},
        "Status": {
            "type": "object",
            "required": ["status", "gaps", "altered", "problems"],
            "properties": {
                "status": {"type": "object"},
                "gaps": list("TrailEvent"),
                "altered": {"type": "integer", "minimum": 0},
                "problems": {"type": "array", "items": {"type": "string"}},
            },
        },
        "Problem": {"type": "object", "required": ["status", "error"], "properties": {"status": {"type": "integer"}, "error": {"type": "string"}}},
        "TrailEvent": {
            "type": "object",
            "required": ["id", "event_type", "entity_type", "actor", "data", "created_at", "outcome"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "event_type": {"type": "string"},
                "entity_type": {"type": "string"},
                "entity_id": or_null("string"),
                "entity_key": {"type": "string"},
                "targets": {},
                "tenant": {"type": "string"},
                "actor": {"type": "string"},
                "data": {},
                "created_at": {"type": "string", "description": "RFC 3339 to the microsecond, or infinity, or a time that RFC 3339 cannot express."},
                "outcome": {"type": "string"},
                "duration_us": or_null("integer"),
                "correlation_id": or_null("string"),
                "causation_id": or_null("string"),
                "context": {},
                "origin": or_null("string"),
                "batch_id": or_null("string"),
                "intent": {"enum": ["in_flight", "interrupted", "completed"]},
            },
        },
        "Badge": {
            "type": ["object", "null"],
            "required": ["state"],
            "properties": {
                "state": {"enum": ["covered", "sealed", "not_sealed", "verified", "equals_seal", "altered"]},
                "checkpoint": {"type": "integer"},
                "at": {"type": "string"},
                "why": {"type": "string"},
            },
        },
        "List": {
            "type": "object",
            "required": ["events", "older", "newer", "looked", "values"],
            "properties": {
                "events": {"type": "array", "items": {
                    "type": "object",
                    "required": ["event", "evidence"],
                    "properties": {"event": {"$ref": "#/components/schemas/TrailEvent"}, "evidence": {"$ref": "#/components/schemas/Badge"}},
                }},
                "older": or_null("string"),
                "newer": or_null("string"),
                "looked": {
                    "description": "Where a search that no index serves ended before its page was full; null if it did not.",
                    "type": ["object", "null"],
                    "required": ["up_to", "further"],
                    "properties": {
                        "up_to": {"type": "string", "description": "All events from the beginning of the list to this time were looked at."},
                        "further": {"type": "string", "description": "The path of the list that goes on from there."},
                    },
                },
                "values": {
                    "description": "The path of the list of events that have the text of find in a value, if these have it as a key, an id or a name.",
                    "type": ["string", "null"],
                },
            },
        },
        "Event": {
            "type": "object",
            "required": ["event", "evidence"],
            "properties": {
                "event": {"$ref": "#/components/schemas/TrailEvent"},
                "evidence": {"type": "object", "required": ["verdict", "row", "batch", "tree", "signature"], "properties": {
                    "verdict": {"type": "string"}, "row": step, "batch": step, "tree": step, "signature": step,
                    "batch_id": or_null("string"), "checkpoint": or_null("integer"),
                }},
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn each_reference_leads_to_a_part_of_the_document() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }
}
