//! The forms in which events are sent.

mod cef;
mod ecs;
mod ocsf;

use super::mapping::Mapping;
use super::message::{Level, Message};
use super::object::Object;
use crate::format::{COLUMNS, cloud_event, record};
use audit_runtime::Json;
use audit_runtime::feed::Arrived;
use clap::ValueEnum;

/// The form of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
#[non_exhaustive]
pub enum Form {
    /// The event as `audit-trail export` has it, with its evidence in `audit`: a JSON object a line.
    Ndjson,
    /// CloudEvents 1.0 in JSON (<https://github.com/cloudevents/spec>).
    #[value(name = "cloudevents")]
    CloudEvents,
    /// OCSF 1.8 in JSON: API Activity, unless a mapping names another class (<https://schema.ocsf.io>).
    Ocsf,
    /// Elastic Common Schema 8 in JSON (<https://www.elastic.co/docs/reference/ecs>).
    Ecs,
    /// Common Event Format, version 0.
    Cef,
    /// Log Event Extended Format 2.0, with tabs.
    Leef,
    /// Comma-separated values with the columns of `audit-trail export`.
    Csv,
}

/// The columns of CSV behind those of an export.
const EVIDENCE: [&str; 4] = ["sealed_in", "leaf_number", "leaf", "stored_at"];

/// How a feed writes its events.
#[derive(Debug, Clone, Default)]
pub(super) struct Style {
    pub(super) level: Level,
    pub(super) mapping: Mapping,
    /// Whether cells of CSV may begin a formula.
    pub(super) is_raw: bool,
}

impl Form {
    /// Returns the name, as the option `--form` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::CloudEvents => "cloudevents",
            Self::Ocsf => "ocsf",
            Self::Ecs => "ecs",
            Self::Cef => "cef",
            Self::Leef => "leef",
            Self::Csv => "csv",
        }
    }

    /// Whether each event is a JSON object.
    pub(super) fn is_json(self) -> bool {
        matches!(self, Self::Ndjson | Self::CloudEvents | Self::Ocsf | Self::Ecs)
    }

    /// The line before the first event.
    pub(super) fn header(self) -> Option<String> {
        (self == Self::Csv).then(|| csv_line(COLUMNS.into_iter().chain(EVIDENCE)))
    }

    /// The media type of many events, one a line.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::CloudEvents => "application/cloudevents-batch+json",
            Self::Ndjson | Self::Ocsf | Self::Ecs => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Cef | Self::Leef => "text/plain; charset=utf-8",
        }
    }

    /// Writes an event.
    pub(super) fn message(self, arrived: Arrived, style: &Style) -> Message {
        let mut message = Message::new(arrived, style.level);
        message.text = match self {
            Self::Ndjson => ndjson(&message),
            Self::CloudEvents => cloud(&message),
            Self::Ocsf => ocsf::event(&message, &style.mapping),
            Self::Ecs => ecs::event(&message),
            Self::Cef => cef::cef(&message, &style.mapping),
            Self::Leef => cef::leef(&message, &style.mapping),
            Self::Csv => csv(&message, style.is_raw),
        };
        message
    }

    /// Reads the event and its evidence back from a line, where the form has all of them.
    pub(crate) fn read(line: &str) -> Option<Read> {
        let json: Json = line.parse().ok()?;
        if let Some(event) = json.get("unmapped").and_then(|unmapped| unmapped.get("event")) {
            return Read::of(event.clone(), json["unmapped"].get("audit")?);
        }
        if let Some(own) = json.get("audit_trail") {
            return Read::of(own.get("event")?.clone(), own);
        }
        if json.get("specversion").is_some() {
            return cloud_read(&json);
        }
        let evidence = json.get("audit")?.clone();
        Read::of(json, &evidence)
    }
}

/// An event as another system had it, and its evidence.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    /// The event as exports have it.
    pub(crate) event: Json,
    pub(crate) batch_id: Option<String>,
    pub(crate) leaf: Option<String>,
    /// Whether the line states that the event was sent without its data and context. Whoever changes a line
    /// can state so, too.
    pub(crate) states_level: bool,
}

impl Read {
    fn of(event: Json, evidence: &Json) -> Option<Self> {
        let text = |name: &str| evidence.get(name).and_then(Json::as_str).map(str::to_owned);
        Some(Self {
            event,
            batch_id: text("batch_id"),
            leaf: text("leaf"),
            states_level: evidence.get("level").is_some(),
        })
    }
}

fn ndjson(message: &Message) -> String {
    match message.event_json() {
        // The event is an object that has members.
        Ok(event) => format!("{},\"audit\":{}}}", &event[..event.len() - 1], message.evidence().end()),
        Err(error) => {
            Object::new().text("id", &message.event().id.to_string()).text("unreadable", &error.to_string()).end()
        }
    }
}

/// A CloudEvent, with the evidence as extensions. The names of these have no underscores.
fn cloud(message: &Message) -> String {
    let mut event = message.event().clone();
    // The batch that seals the event is an extension of every one.
    event.batch_id = Some(message.arrived.batch_id);
    let leaf = message.arrived.leaf;
    let text = cloud_event(&event).to_string();
    let mut extensions = Object::new()
        .raw_of("leafnumber", leaf.map(|leaf| leaf.number))
        .text_of("leaf", leaf.map(|leaf| hex::encode(leaf.digest)))
        .text("storedat", &message.arrived.stored_at.to_string())
        .text_of("level", (message.level == Level::Metadata).then_some("metadata"))
        .raw_of("late", message.event().batch_id.is_none().then_some("true"));
    if event.event_type.is_empty() {
        extensions = extensions.text("unnamed", "true");
    }
    let extensions = extensions.end();
    let text =
        if event.event_type.is_empty() { text.replacen("\"type\":\"\"", "\"type\":\"unnamed\"", 1) } else { text };
    format!("{},{}", &text[..text.len() - 1], &extensions[1..])
}

fn cloud_read(json: &Json) -> Option<Read> {
    let text = |name: &str| json.get(name).and_then(Json::as_str);
    let nested = |name: &str| text(name).and_then(|text| text.parse::<Json>().ok());
    let subject = text("subject").and_then(|subject| subject.rsplit_once('/').map(|(_, id)| id.to_owned()));
    let is_late = json.get("late").is_some();
    let number = text("durationus").and_then(|number| number.parse::<i64>().ok());
    let event_type = if json.get("unnamed").is_some() { "" } else { text("type")? };
    let members: [(&str, Json); 17] = [
        ("id", text("id")?.into()),
        ("event_type", event_type.into()),
        ("entity_type", text("entitytype")?.into()),
        ("entity_id", subject.into()),
        ("actor", text("actor")?.into()),
        ("data", json.get("data")?.clone()),
        ("created_at", text("time").or_else(|| text("createdat"))?.into()),
        ("outcome", text("outcome")?.into()),
        ("duration_us", number.into()),
        ("correlation_id", text("correlationid").into()),
        ("causation_id", text("causationid").into()),
        ("context", nested("context").into()),
        ("origin", text("origin").into()),
        ("batch_id", text("batchid").filter(|_| !is_late).into()),
        ("entity_key", text("entitykey").into()),
        ("targets", nested("targets").into()),
        ("tenant", text("tenant").into()),
    ];
    Some(Read {
        event: members.into_iter().collect(),
        batch_id: text("batchid").map(str::to_owned),
        leaf: text("leaf").map(str::to_owned),
        states_level: json.get("level").is_some(),
    })
}

fn csv(message: &Message, is_raw: bool) -> String {
    let leaf = message.arrived.leaf;
    let evidence = [
        message.arrived.batch_id.to_string(),
        leaf.map_or_else(String::new, |leaf| leaf.number.to_string()),
        leaf.map_or_else(String::new, |leaf| hex::encode(leaf.digest)),
        message.arrived.stored_at.to_string(),
    ];
    csv_line(record(message.event(), is_raw).into_iter().chain(evidence).map(|cell| one_line(&cell)))
}

/// A cell on one line: readers of lines, and a file that was cut at the end of one, know of no quotes.
fn one_line(cell: &str) -> String {
    cell.replace("\r\n", "\\n").replace(['\n', '\r'], "\\n")
}

/// A record without its end.
fn csv_line(cells: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    // Writing to memory succeeds.
    let _ = writer.write_record(cells);
    let line = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned()
}
