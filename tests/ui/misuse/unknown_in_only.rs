use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", only(order, qantity))]
fn submit(order_id: Uuid, order: &str, quantity: u8) {}

fn main() {}
