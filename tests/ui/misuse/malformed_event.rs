use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "OrderSubmitted")]
fn submit(order_id: Uuid) {}

fn main() {}
