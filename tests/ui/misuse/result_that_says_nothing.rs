use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", result = none)]
fn submit(order_id: Uuid) -> u8 {
    7
}

fn main() {}
