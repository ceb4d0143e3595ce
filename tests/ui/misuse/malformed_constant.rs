use audit_runtime::audited;
use uuid::Uuid;

const SUBMITTED: &str = "Order submitted";

#[audited(event = SUBMITTED, entity = "order")]
fn submit(order_id: Uuid) {}

fn main() {}
