use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted")]
struct Order {
    id: Uuid,
}

fn main() {}
