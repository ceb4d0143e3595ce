//! An event on its way to a target.

use super::object::Object;
use audit_runtime::Json;
use audit_runtime::feed::Arrived;
use audit_runtime::trail::TrailEvent;
use clap::ValueEnum;
use std::net::IpAddr;

/// How much of each event a feed sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[non_exhaustive]
pub enum Level {
    /// All of it; personal values stay encrypted.
    #[default]
    Full,
    /// No data and no context: who did what to which entity, when, and how it ended.
    Metadata,
}

/// An event, and its text in the form of the feed.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) arrived: Arrived,
    pub(super) level: Level,
    /// One line without its end.
    pub(super) text: String,
}

impl Message {
    /// Prepares an event: its text follows.
    pub(super) fn new(mut arrived: Arrived, level: Level) -> Self {
        if level == Level::Metadata {
            arrived.event.data = Json::from_iter(std::iter::empty::<(String, Json)>());
            arrived.event.context = None;
        }
        Self { arrived, level, text: String::new() }
    }

    pub(super) fn event(&self) -> &TrailEvent {
        &self.arrived.event
    }

    /// Where the event is in the trail, and the digest by which it is proven.
    pub(super) fn evidence(&self) -> Object {
        let leaf = self.arrived.leaf;
        Object::new()
            .text("batch_id", &self.arrived.batch_id.to_string())
            .raw_of("leaf_number", leaf.map(|leaf| leaf.number))
            .text_of("leaf", leaf.map(|leaf| hex::encode(leaf.digest)))
            .text("stored_at", &self.arrived.stored_at.to_string())
            .text_of("level", (self.level == Level::Metadata).then_some("metadata"))
    }

    /// The event as a JSON object, as exports have it, without its end.
    pub(super) fn event_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self.event())
    }
}

/// The process that recorded an event: `service@host:process id`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    pub(super) service: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) process: Option<u32>,
}

impl<'a> Origin<'a> {
    pub(super) fn of(event: &'a TrailEvent) -> Self {
        let Some(origin) = event.origin.as_deref().filter(|origin| !origin.is_empty()) else { return Self::default() };
        let filled = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        let Some((service, rest)) = origin.split_once('@') else {
            return Self { service: filled(origin), ..Self::default() };
        };
        let (host, process) = rest.rsplit_once(':').unwrap_or((rest, ""));
        Self { service: filled(service), host: filled(host), process: process.parse().ok() }
    }
}

/// A text at a path in the context of an event.
pub(super) fn in_context<'a>(event: &'a TrailEvent, names: &[&str]) -> Option<&'a str> {
    let context = event.context.as_ref()?;
    names.iter().find_map(|name| context.get(name)?.as_str())
}

/// The address of the client, as the context has it.
pub(super) fn client_address(event: &TrailEvent) -> Option<IpAddr> {
    let address: IpAddr = in_context(event, &["ip", "client_ip", "remote_addr"])?.parse().ok()?;
    // A server that listens on IPv6 sees the others as `::ffff:10.0.0.7`.
    Some(address.to_canonical())
}

/// The trace in the context: 32 hexadecimal digits, and those of the span.
pub(super) fn trace(event: &TrailEvent) -> Option<(&str, Option<&str>)> {
    let is_id = |text: &&str, digits: usize| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let trace = in_context(event, &["trace_id"]).filter(|trace| is_id(trace, 32))?;
    Some((trace, in_context(event, &["span_id"]).filter(|span| is_id(span, 16))))
}

/// The message of the error with which a call ended.
pub(super) fn error_message(event: &TrailEvent) -> Option<String> {
    let error = event.data.get("error")?;
    let message = error.get("message").unwrap_or(error);
    Some(message.as_str().map_or_else(|| message.to_string(), str::to_owned))
}

/// How a call ended, for systems that know success and failure alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    Failed,
    Unknown,
}

impl Ended {
    pub(super) fn of(event: &TrailEvent) -> Self {
        match event.outcome_text() {
            "ok" => Self::Well,
            "error" | "panicked" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// The kind of action, by the verb of the event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Read,
    Update,
    Delete,
    Other,
}

impl Action {
    pub(super) fn of(event: &TrailEvent) -> Self {
        let verb = event.event_type.rsplit('.').next().unwrap_or_default();
        match verb {
            "created" | "create" | "added" | "made" | "opened" | "issued" | "registered" | "inserted" | "submitted"
            | "placed" | "uploaded" => Self::Create,
            "read" | "viewed" | "listed" | "searched" | "exported" | "downloaded" | "revealed" | "opened_file"
            | "get" | "view" | "list" => Self::Read,
            "updated" | "update" | "changed" | "modified" | "renamed" | "moved" | "edited" | "set" | "patched"
            | "assigned" | "approved" | "rejected" => Self::Update,
            "deleted" | "delete" | "removed" | "destroyed" | "erased" | "forgotten" | "pruned" => Self::Delete,
            _ => Self::Other,
        }
    }
}
