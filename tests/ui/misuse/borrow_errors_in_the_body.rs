use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn moved_twice(order_id: Uuid, ticker: String) -> String {
    drop(ticker);
    ticker
}

#[audited(event = "order.submitted")]
fn not_mutable(order_id: Uuid, count: u8) -> u8 {
    count += 1;
    count
}

#[audited(event = "order.submitted")]
fn of_a_local(order_id: Uuid) -> &'static str {
    let text = order_id.to_string();
    &text
}

fn main() {}
