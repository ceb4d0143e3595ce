use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", recorder = |out| out.audit)]
fn submit(order_id: Uuid) {}

fn main() {}
