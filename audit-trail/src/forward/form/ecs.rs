//! ECS, the Elastic Common Schema (<https://www.elastic.co/docs/reference/ecs>).

use super::super::message::{Action, Ended, Message, Origin, client_address, error_message, trace};
use super::super::object::{Object, array};
use audit_runtime::Json;

/// The version of the schema.
const VERSION: &str = "8.17.0";

/// Writes an event as ECS. Fields without a place there are in `audit_trail.event`.
pub(super) fn event(message: &Message) -> String {
    let event = message.event();
    let origin = Origin::of(event);
    let outcome = match Ended::of(event) {
        Ended::Well => "success",
        Ended::Failed => "failure",
        Ended::Unknown => "unknown",
    };
    let kind = match Action::of(event) {
        Action::Create => "creation",
        Action::Read => "access",
        Action::Update => "change",
        Action::Delete => "deletion",
        Action::Other => "info",
    };
    // Elasticsearch reads times of RFC 3339; another one is in `audit_trail.event` alone.
    let is_time = event.created_at.is_rfc_3339();
    let time = if is_time { event.created_at } else { message.arrived.stored_at };
    let address = client_address(event).map(|address| address.to_string());
    let text = |text: &str| Json::from(text).to_string();
    let own = message.evidence().raw_of("event", message.event_json().ok());
    Object::new()
        .text("@timestamp", &time.to_string())
        .object("ecs", Object::new().text("version", VERSION))
        .text("message", &format!("{} by {}", event.event_type, event.actor))
        .object(
            "event",
            Object::new()
                .text("id", &event.id.to_string())
                .text("action", &event.event_type)
                .text("kind", "event")
                .raw("category", array([text("api")]))
                .raw("type", array([text(kind)]))
                .text("outcome", outcome)
                .text("module", "audit_trail")
                .text("dataset", "audit_trail.events")
                .text("created", &message.arrived.stored_at.to_string())
                .raw_of("duration", event.duration_us.map(|micros| i128::from(micros) * 1_000)),
        )
        .object("user", Object::new().text("id", &event.actor).text("name", &event.actor))
        .object("service", Object::new().text_of("name", origin.service))
        .object("host", Object::new().text_of("name", origin.host))
        .object("process", Object::new().raw_of("pid", origin.process))
        .object("organization", Object::new().text_of("id", event.tenant.as_deref()))
        .object("source", Object::new().text_of("ip", address.as_deref()))
        .object("trace", Object::new().text_of("id", trace(event).map(|(id, _)| id)))
        .object("error", Object::new().text_of("message", error_message(event)))
        .object(
            "related",
            Object::new().raw("user", array([text(&event.actor)])).raw_of("ip", address.map(|ip| array([text(&ip)]))),
        )
        .object("audit_trail", own)
        .end()
}
