use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", fallible)]
fn submit(order_id: Uuid) -> u8 {
    7
}

fn main() {}
