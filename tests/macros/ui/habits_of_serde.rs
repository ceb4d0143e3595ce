use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", rename(size = "quantity"))]
fn rename(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", skip_serializing(size))]
fn skip_serializing(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", crate = "audit runtime")]
fn not_a_path(order_id: Uuid) {}

fn main() {}
