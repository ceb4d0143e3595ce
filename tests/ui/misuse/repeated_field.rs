use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", fields(size = 1, size = 2))]
fn submit(order_id: Uuid) {}

fn main() {}
