use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", skip(ticker), only(order_id))]
fn submit(order_id: Uuid, ticker: &str) {}

fn main() {}
