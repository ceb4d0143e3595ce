//! One event with all its fields.

use crate::failure::Failure;
use crate::format::entity_key;
use crate::text::{harmless, harmless_json};
use crate::time::Zone;
use crate::timeline::{duration, shown};
use audit_runtime::Json;
use audit_runtime::trail::TrailEvent;
use std::io::{self, Write};

/// Prints each column on a line of its own, and JSON on several.
pub(crate) fn print(event: &TrailEvent) -> Result<(), Failure> {
    let zone = Zone::system().map_err(Failure::Usage)?;
    let mut output = anstream::AutoStream::auto(io::stdout().lock());
    let id = |id: Option<uuid::Uuid>| id.map(|id| id.to_string());
    let key = entity_key(event).map_or_else(String::new, |key| format!(" {key}"));
    for (name, value) in [
        ("event", Some(event.id.to_string())),
        ("type", Some(event.event_type.clone())),
        ("entity", Some(format!("{}{key}", event.entity_type))),
        // Of a key, the id by which others refer to it.
        ("entity id", id(event.entity_id.filter(|_| event.entity_key.is_some()))),
        ("tenant", event.tenant.clone()),
        ("began", Some(format!("{} ({})", shown(&zone, event.created_at), zone.name()))),
        (
            "outcome",
            Some(event.intent.map_or_else(|| event.outcome_text().to_owned(), |state| format!("started, {state}"))),
        ),
        ("took", event.duration_us.map(duration)),
        ("actor", Some(event.actor.clone())),
        ("correlation", id(event.correlation_id)),
        ("cause", id(event.causation_id)),
        ("origin", event.origin.clone()),
        ("batch", id(event.batch_id)),
    ] {
        if let Some(value) = value {
            writeln!(output, "{name:<12}{}", harmless(&value))?;
        }
    }
    for (name, json) in
        [("targets", event.targets.as_ref()), ("context", event.context.as_ref()), ("data", Some(&event.data))]
    {
        if let Some(json) = json {
            writeln!(output, "{name:<12}{}", lines(json))?;
        }
    }
    Ok(output.flush()?)
}

/// JSON on several lines, each of which is harmless to a terminal and begins below the first.
fn lines(json: &Json) -> String {
    format!("{json:#}").lines().map(harmless_json).collect::<Vec<_>>().join(&format!("\n{:12}", ""))
}
