use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = 3)]
fn event(order_id: Uuid) {}

#[audited(event = "")]
fn empty_event(order_id: Uuid) {}

#[audited(event = "order.submitted", entity = 3)]
fn entity(order_id: Uuid) {}

#[audited(event = "order.submitted", entity = "")]
fn empty_entity(order_id: Uuid) {}

#[audited(event = "order.submitted", crate = 5)]
fn path(order_id: Uuid) {}

#[audited(event = "order.submitted", result = "skip")]
fn result(order_id: Uuid) -> u8 {
    1
}

const NUMBER: u8 = 3;

#[audited(event = NUMBER, entity = "order")]
fn constant(order_id: Uuid) {}

fn main() {}
