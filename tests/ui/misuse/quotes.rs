use audit_runtime::audited;
use uuid::Uuid;

#[audited("order.submitted")]
fn event(order_id: Uuid) {}

#[audited(event = "order.submitted", fields("size" = 3))]
fn field(order_id: Uuid) {}

#[audited(event = "order.submitted", redact("card"))]
fn redact(order_id: Uuid, card: u64) {}

#[audited(event = "order.submitted", only("order_id"))]
fn only(order_id: Uuid) {}

fn main() {}
