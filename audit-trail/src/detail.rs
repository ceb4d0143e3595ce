//! One event with all its fields, its causes and effects, and its evidence.

use crate::failure::Failure;
use crate::format::entity_key;
use crate::relations::Relative;
use crate::show::Style;
use crate::text::{harmless, harmless_json};
use crate::time::Zone;
use crate::timeline::{duration, shown};
use audit_runtime::Json;
use audit_runtime::evidence::Coverage;
use audit_runtime::trail::TrailEvent;
use std::io::{self, Write};

/// Prints each column on a line of its own, and JSON on several.
pub(crate) fn print(
    event: &TrailEvent,
    relations: &[(Vec<Relative>, Option<String>); 2],
    coverage: Option<&Coverage>,
    style: &Style,
) -> Result<(), Failure> {
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
        ("evidence", Some(evidence(&zone, coverage))),
        #[cfg(feature = "timestamp")]
        ("existed", coverage.and_then(|coverage| existed(&zone, event, coverage))),
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
    let width = style.width().map(|width| width.saturating_sub(12));
    for (name, (relatives, left_out)) in ["causes", "effects"].into_iter().zip(relations) {
        let lines = relatives.iter().map(|relative| relative.line(&zone, width));
        for (number, line) in lines.chain(left_out.as_deref().map(harmless)).enumerate() {
            writeln!(output, "{:<12}{line}", if number == 0 { name } else { "" })?;
        }
    }
    Ok(output.flush()?)
}

/// Tells by what the event is sealed.
fn evidence(zone: &Zone, coverage: Option<&Coverage>) -> String {
    let Some(Coverage { batch_id, sealed_at, is_late, checkpoint, .. }) = coverage else {
        return "not sealed yet; audit-trail checkpoint seals it".into();
    };
    let late = if *is_late { format!(" late, by batch {batch_id}") } else { String::new() };
    let sealed = format!("sealed{late} {}", shown(zone, *sealed_at));
    checkpoint.map_or_else(
        || format!("{sealed}, not under a checkpoint yet"),
        |time| format!("{sealed}, under the checkpoint of {}", shown(zone, time)),
    )
}

/// Tells at which instant a time stamp proves that the event existed.
#[cfg(feature = "timestamp")]
fn existed(zone: &Zone, event: &TrailEvent, coverage: &Coverage) -> Option<String> {
    let stamp = coverage.time_stamp.as_ref()?;
    Some(match stamp.verify(None) {
        Ok(existence) => {
            let (at, recorded) = (shown(zone, existence.at), shown(zone, event.created_at));
            format!("at {at} ({}), recorded as {recorded}", existence.source())
        }
        Err(error) => format!("not proven by the time stamp of checkpoint {}: {error}", stamp.checkpoint),
    })
}

/// JSON on several lines, each of which is harmless to a terminal and begins below the first.
fn lines(json: &Json) -> String {
    format!("{json:#}").lines().map(harmless_json).collect::<Vec<_>>().join(&format!("\n{:12}", ""))
}
