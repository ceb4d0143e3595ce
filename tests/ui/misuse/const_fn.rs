use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted")]
const fn submit(order_id: Uuid) {}

fn main() {}
