use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", err = "order.rejected")]
fn submit(order_id: Uuid) {}

fn main() {}
