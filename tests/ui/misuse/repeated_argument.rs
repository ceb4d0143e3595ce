use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", event = "order.filled")]
fn submit(order_id: Uuid) {}

fn main() {}
