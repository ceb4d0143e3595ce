use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", fields(result = 1))]
fn submit(order_id: Uuid) -> u8 {
    1
}

fn main() {}
