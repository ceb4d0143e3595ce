use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", recorder = order_id)]
fn submit(order_id: Uuid) {}

fn main() {}
