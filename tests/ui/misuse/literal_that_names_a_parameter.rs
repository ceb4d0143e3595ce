use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", id = "order_id")]
fn by_id(order_id: Uuid) {}

#[audited(event = "order.submitted", actor = "user")]
fn by_actor(order_id: Uuid, user: &str) {}

#[audited(event = "order.submitted", personal(email), subject = "customer")]
fn by_subject(order_id: Uuid, customer: u32, email: &str) {}

#[audited(event = "order.submitted", id = "")]
fn empty(order_id: Uuid) {}

fn main() {}
