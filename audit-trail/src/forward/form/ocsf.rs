//! OCSF, the Open Cybersecurity Schema Framework (<https://schema.ocsf.io/1.8.0>).

use super::super::mapping::{Mapping, OcsfClass};
use super::super::message::{Action, Ended, Message, Origin, client_address, error_message, trace};
use super::super::object::{Object, array};
use crate::format::entity_key;
use audit_runtime::Json;
use audit_runtime::trail::TrailEvent;

/// The version of the schema.
const VERSION: &str = "1.8.0";
/// `Other` in every enumeration.
const OTHER: u32 = 99;

/// Writes an event as OCSF.
pub(super) fn event(message: &Message, mapping: &Mapping) -> String {
    let event = message.event();
    let mapped = mapping.of(&event.event_type);
    let class = mapped.class.unwrap_or(if event.event_type.starts_with("audit.") {
        OcsfClass::EVENT_LOG
    } else {
        OcsfClass::API
    });
    let activity = mapped.activity.unwrap_or_else(|| activity(event, class));
    let verb = event.event_type.rsplit('.').next().unwrap_or_default();
    let origin = Origin::of(event);
    let (status, status_name) = match Ended::of(event) {
        Ended::Well => (1, "Success"),
        Ended::Failed => (2, "Failure"),
        Ended::Unknown => (OTHER, event.outcome_text()),
    };
    let stored = message.arrived.stored_at.unix_micros().unwrap_or_default() / 1_000;
    // A time that no number of milliseconds expresses is in `metadata.original_time` alone.
    let time = event.created_at.unix_micros().map_or(stored, |micros| micros.div_euclid(1_000));
    let object = Object::new()
        .raw("class_uid", class.uid)
        .raw("category_uid", class.uid / 1_000)
        .raw("activity_id", activity)
        .text_of("activity_name", (activity == OTHER).then_some(verb).filter(|verb| !verb.is_empty()))
        .raw("type_uid", class.uid * 100 + activity)
        .raw("severity_id", mapped.severity.unwrap_or(1))
        .raw("status_id", status)
        .text("status", status_name)
        .text_of("status_detail", error_message(event))
        .raw("time", time)
        .raw_of("duration", event.duration_us.map(|micros| micros / 1_000))
        .text("message", &format!("{} by {}", event.event_type, event.actor))
        .object("metadata", metadata(message, stored));
    let object = if class.has_actor { object.object("actor", actor(event, origin)) } else { object };
    let object = match class.uid {
        6_003 => object.object("api", api(event, origin)),
        1_008 => object.text("log_name", "audit_events"),
        6_002 => object.object("app", product(origin.service.unwrap_or("audit_events"))),
        3_001 => object.object("user", entity_user(event)),
        3_002 => object.object("user", user(event)).object("service", service(origin)),
        3_004 => object.object("entity", managed(event)),
        _ => object,
    };
    let object = if class.has_endpoint { object.object("src_endpoint", endpoint(event, origin)) } else { object };
    let object = if class.has_resources { object.raw("resources", resources(event)) } else { object };
    let object = match trace(event) {
        Some((id, _)) if class.has_trace => object.object("trace", Object::new().text("uid", id)),
        _ => object,
    };
    let unmapped = Object::new().raw_of("event", message.event_json().ok()).object("audit", message.evidence());
    object.object("unmapped", unmapped).end()
}

/// The activity of an event, where no mapping states it.
fn activity(event: &TrailEvent, class: OcsfClass) -> u32 {
    match (class.uid, Action::of(event)) {
        (6_003 | 3_004, Action::Create) => 1,
        (6_003 | 3_004, Action::Read) => 2,
        (6_003 | 3_004, Action::Update) => 3,
        (6_003 | 3_004, Action::Delete) => 4,
        (1_008, Action::Read) if event.event_type == "audit.exported" => 3,
        (1_008, Action::Delete) => 2,
        _ => OTHER,
    }
}

fn metadata(message: &Message, stored: i64) -> Object {
    let event = message.event();
    let profiles = trace(event).map(|_| "[\"trace\"]");
    Object::new()
        .text("version", VERSION)
        .object("product", product("audit-runtime").text("version", env!("CARGO_PKG_VERSION")))
        .text("uid", &event.id.to_string())
        .text("event_code", &event.event_type)
        .text("log_name", "audit_events")
        .raw("logged_time", stored)
        .text("original_time", &event.created_at.to_string())
        .text_of("correlation_uid", event.correlation_id.map(|id| id.to_string()))
        .text_of("tenant_uid", event.tenant.as_deref())
        .raw_of("profiles", profiles)
}

fn product(name: &str) -> Object {
    Object::new().text("name", name).text("vendor_name", "audit-runtime")
}

fn user(event: &TrailEvent) -> Object {
    Object::new().text("uid", &event.actor).text("name", &event.actor)
}

fn actor(event: &TrailEvent, origin: Origin<'_>) -> Object {
    let application = origin.service.map(|_| origin.service.unwrap_or_default());
    Object::new().object("user", user(event)).text_of("app_uid", application)
}

fn service(origin: Origin<'_>) -> Object {
    Object::new().text("name", origin.service.unwrap_or("audit_events"))
}

fn api(event: &TrailEvent, origin: Origin<'_>) -> Object {
    let request = event.correlation_id.map(|id| id.to_string());
    Object::new()
        .text("operation", &event.event_type)
        .object("service", service(origin))
        .object("request", Object::new().text_of("uid", request))
}

fn endpoint(event: &TrailEvent, origin: Origin<'_>) -> Object {
    Object::new()
        .text_of("ip", client_address(event).map(|address| address.to_string()))
        .text_of("name", origin.host)
        .text("svc_name", origin.service.unwrap_or("audit_events"))
}

/// The entity as the user whose account changed.
fn entity_user(event: &TrailEvent) -> Object {
    let key = entity_key(event);
    Object::new().text("uid", key.as_deref().unwrap_or(&event.actor)).text("type", &event.entity_type)
}

fn managed(event: &TrailEvent) -> Object {
    let key = entity_key(event);
    let uid = key.as_deref().unwrap_or(&event.entity_type);
    Object::new().text("uid", uid).text("name", uid).text("type", &event.entity_type)
}

/// The entity, and the further ones.
fn resources(event: &TrailEvent) -> String {
    let resource = |kind: &str, key: &str| {
        let resource = Object::new().text("uid", key).text("name", key).text("type", kind);
        resource.text_of("namespace", event.tenant.as_deref())
    };
    let own = entity_key(event).map(|key| resource(&event.entity_type, &key).end());
    let targets = event.targets.as_ref().and_then(Json::as_array).unwrap_or_default();
    let further = targets.iter().filter_map(|target| {
        let key = target.get("key").or_else(|| target.get("id"))?;
        let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        Some(resource(target.get("type").and_then(Json::as_str).unwrap_or_default(), &key).end())
    });
    array(own.into_iter().chain(further))
}
