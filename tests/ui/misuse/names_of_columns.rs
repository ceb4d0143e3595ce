use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", entity_id = number)]
fn entity_id(number: Uuid) {}

#[audited(event = "order.submitted", entity_type = "order")]
fn entity_type(order_id: Uuid) {}

#[audited(event_type = "order.submitted")]
fn event_type(order_id: Uuid) {}

#[audited(event = "order.submitted", outcome = "error")]
fn outcome(order_id: Uuid) {}

#[audited(event = "order.submitted", correlation_id = order_id)]
fn correlation(order_id: Uuid) {}

#[audited(event = "order.submitted", data(order_id))]
fn data(order_id: Uuid) {}

#[audited(event = "order.submitted", context = order_id)]
fn context(order_id: Uuid) {}

fn main() {}
