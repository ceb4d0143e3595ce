use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.sent", intent, when = |sent| *sent)]
fn send(order_id: Uuid) -> bool {
    true
}

fn main() {}
