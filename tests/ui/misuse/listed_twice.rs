use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", skip(size, size))]
fn skip(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", only(size, ?size))]
fn only(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", redact(size), skip(size))]
fn redact_and_skip(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", redact(size), plain(size))]
fn redact_and_plain(order_id: Uuid, size: u8) {}

fn main() {}
