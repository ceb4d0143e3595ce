use audit_runtime::audited;
use std::ops::Add;
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn same<T: Clone>(order_id: Uuid, order: &T) -> T {
    order.clone()
}

#[audited(event = "order.submitted", result = skip)]
async fn sum<T: Add + Copy>(order_id: Uuid, n: T) -> T::Output {
    n + n
}

#[audited(event = "order.submitted")]
fn mul<T: std::ops::Mul>(order_id: Uuid, n: T, m: T) -> <T as std::ops::Mul>::Output {
    n * m
}

fn main() {}
