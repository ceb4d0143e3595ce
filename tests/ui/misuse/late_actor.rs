use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", actor = |order| order.actor)]
fn submit(order_id: Uuid) {}

fn main() {}
