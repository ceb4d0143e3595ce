use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", fields(ticker = "x"))]
fn submit(order_id: Uuid, ticker: &str) {}

fn main() {}
