use audit_runtime::audited;
use uuid::Uuid;

struct Order;

#[audited(event = "order.submitted", result = |order| order)]
fn result(order_id: Uuid) -> Order {
    Order
}

#[audited(event = "order.submitted", result = skip, fields(order = |order| order))]
fn field(order_id: Uuid) -> Result<Order, String> {
    Ok(Order)
}

#[audited(event = "order.submitted", err = |error| 3)]
fn err(order_id: Uuid) -> Result<u8, String> {
    Ok(1)
}

#[audited(event = "order.submitted", error = %)]
fn error(order_id: Uuid) -> Result<u8, Order> {
    Ok(1)
}

#[audited(event = "order.submitted", when = |size| 3)]
fn when(order_id: Uuid) -> u8 {
    1
}

#[audited(event = "order.submitted", id = |size, order| order)]
fn two(order_id: Uuid) -> u8 {
    1
}

fn main() {}
