use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", user = name)]
fn user(order_id: Uuid, name: &str) {}

#[audited(event = "order.submitted", mask(card))]
fn mask(order_id: Uuid, card: u64) {}

#[audited(event = "order.submitted", skip_result)]
fn skip_result(order_id: Uuid) -> u8 {
    1
}

#[audited(event = "order.submitted", failed = |n| *n == 0)]
fn failed(order_id: Uuid) -> u8 {
    1
}

fn main() {}
