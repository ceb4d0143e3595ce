use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", skip(tikcer))]
fn submit(order_id: Uuid, ticker: &str) {}

fn main() {}
