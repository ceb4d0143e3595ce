//! CEF and LEEF, the line formats of ArcSight and QRadar.
//!
//! CEF: "ArcSight Common Event Format (CEF) Implementation Standard", version 26: `\` and `|` are escaped
//! in the header, `\`, `=` and ends of lines in extensions. LEEF 2.0: "Log Event Extended Format", with a
//! tab between attributes; a tab, an end of line or `\` in a value is escaped by `\`.

use super::super::mapping::Mapping;
use super::super::message::{Message, Origin, client_address, error_message};
use crate::format::entity_key;
use audit_runtime::Json;
use std::net::IpAddr;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes an event as CEF.
pub(super) fn cef(message: &Message, mapping: &Mapping) -> String {
    let event = message.event();
    let header = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let value = |text: &str| text.replace('\\', "\\\\").replace('=', "\\=").replace('\r', "\\r").replace('\n', "\\n");
    // OCSF has severities from 0 to 6, CEF from 0 to 10.
    let severity = mapping.of(&event.event_type).severity.map_or(1, |severity| (severity * 2).min(10));
    let mut line = format!(
        "CEF:0|audit-runtime|audit-trail|{VERSION}|{}|{}|{severity}|",
        // Parsers need a name.
        header(if event.event_type.is_empty() { "unnamed" } else { &event.event_type }),
        header(&format!("{} by {}", event.event_type, event.actor)),
    );
    let time = event.created_at.unix_micros().map(|micros| ("rt", micros.div_euclid(1_000).to_string()));
    // `src` takes an IPv4 address alone.
    let address = match client_address(event) {
        Some(IpAddr::V6(_)) => "c6a2",
        _ => "src",
    };
    let pairs = fields(
        message,
        [
            "suser",
            "act",
            "outcome",
            "externalId",
            address,
            "dvchost",
            "deviceProcessName",
            "dvcpid",
            "reason",
            "cs1",
            "cs2",
        ],
    );
    let labels = [("c6a2Label", "Source IPv6 Address"), ("cs1Label", "entity"), ("cs2Label", "tenant")];
    let labels = labels.map(|(label, text)| (label, text.to_owned()));
    let labels = labels.into_iter().filter(|(label, _)| pairs.iter().any(|(name, _)| label.starts_with(name)));
    let all: Vec<String> = time
        .into_iter()
        .chain(pairs.iter().map(|(name, text)| (*name, text.clone())))
        .chain(labels)
        .map(|(name, text)| format!("{name}={}", value(&text)))
        .collect();
    line += &all.join(" ");
    line
}

/// Writes an event as LEEF.
pub(super) fn leef(message: &Message, mapping: &Mapping) -> String {
    let event = message.event();
    let value = |text: &str| text.replace('\\', "\\\\").replace('\t', "\\t").replace('\r', "\\r").replace('\n', "\\n");
    let header = value(&event.event_type).replace('|', "/");
    let severity = mapping.of(&event.event_type).severity.map_or(1, |severity| (severity * 2).clamp(1, 10));
    let time = event.created_at.unix_micros().map(|micros| ("devTime", micros.div_euclid(1_000).to_string()));
    let pairs = fields(
        message,
        [
            "usrName",
            "cat",
            "outcome",
            "eventId",
            "src",
            "identHostName",
            "service",
            "pid",
            "reason",
            "entity",
            "tenant",
        ],
    );
    let all: Vec<String> = time
        .into_iter()
        .chain(pairs)
        .chain([("sev", severity.to_string())])
        .map(|(name, text)| format!("{name}={}", value(&text)))
        .collect();
    format!("LEEF:2.0|audit-runtime|audit-trail|{VERSION}|{header}|x09|{}", all.join("\t"))
}

/// All that an event has: what the format names by these names, then the rest by names of our own.
fn fields(message: &Message, names: [&'static str; 11]) -> Vec<(&'static str, String)> {
    let event = message.event();
    let origin = Origin::of(event);
    let [actor, action, outcome, id, address, host, service, process, reason, entity, tenant] = names;
    let leaf = message.arrived.leaf;
    let pairs: [(&'static str, Option<String>); 25] = [
        (actor, Some(event.actor.clone())),
        (action, Some(event.event_type.clone())),
        (outcome, Some(event.outcome_text().to_owned())),
        (id, Some(event.id.to_string())),
        (address, client_address(event).map(|address| address.to_string())),
        (host, origin.host.map(str::to_owned)),
        (service, origin.service.map(str::to_owned)),
        (process, origin.process.map(|process| process.to_string())),
        (reason, error_message(event)),
        (entity, entity_key(event).map(|key| format!("{}:{key}", event.entity_type))),
        (tenant, event.tenant.clone()),
        ("auditTime", Some(event.created_at.to_string())),
        ("auditStoredAt", Some(message.arrived.stored_at.to_string())),
        ("auditEntityType", Some(event.entity_type.clone())),
        ("auditEntityId", event.entity_id.map(|id| id.to_string())),
        ("auditTargets", event.targets.as_ref().map(Json::to_string)),
        ("auditDurationUs", event.duration_us.map(|micros| micros.to_string())),
        ("auditCorrelationId", event.correlation_id.map(|id| id.to_string())),
        ("auditCausationId", event.causation_id.map(|id| id.to_string())),
        ("auditOrigin", event.origin.clone()),
        ("auditContext", event.context.as_ref().map(Json::to_string)),
        ("auditData", Some(event.data.to_string())),
        ("auditBatchId", Some(message.arrived.batch_id.to_string())),
        ("auditLeafNumber", leaf.map(|leaf| leaf.number.to_string())),
        ("auditLeaf", leaf.map(|leaf| hex::encode(leaf.digest))),
    ];
    // An empty value is no value there.
    pairs.into_iter().filter_map(|(name, text)| Some((name, text.filter(|text| !text.is_empty())?))).collect()
}
