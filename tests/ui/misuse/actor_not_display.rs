use audit_runtime::audited;
use uuid::Uuid;

struct User;

#[audited(event = "order.submitted", actor = User)]
fn submit(order_id: Uuid) {}

fn main() {}
