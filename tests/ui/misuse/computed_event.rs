use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = format!("order.submitted"), entity = "order")]
fn submit(order_id: Uuid) {}

fn main() {}
