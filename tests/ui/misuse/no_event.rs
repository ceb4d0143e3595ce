use audit_runtime::audited;
use uuid::Uuid;

#[audited(entity = "order")]
fn submit(order_id: Uuid) {}

fn main() {}
