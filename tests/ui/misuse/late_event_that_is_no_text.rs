use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = |number| *number, entity = "order")]
fn submit(order_id: Uuid) -> u8 {
    7
}

fn main() {}
