use audit_runtime::audited;
use serde as _;
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn parameter<T>(order_id: Uuid, order: T) {}

#[audited(event = "order.submitted")]
fn list<T: Clone>(order_id: Uuid, orders: &[T]) -> u8 {
    1
}

#[audited(event = "order.submitted", skip_all)]
fn result<T: Clone>(order_id: Uuid, orders: &[T]) -> Vec<T> {
    orders.to_vec()
}

#[audited(event = "order.submitted")]
fn anonymous(order_id: Uuid, order: impl AsRef<str>) {}

fn main() {}
