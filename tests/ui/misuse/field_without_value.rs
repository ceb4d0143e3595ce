use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", fields(size))]
fn submit(order_id: Uuid) {}

fn main() {}
