use audit_runtime::audited;
use uuid::Uuid;

#[derive(serde::Serialize)]
struct Order;

#[audited(event = "order.submitted", err = "order.rejected")]
fn submit(order_id: Uuid) -> Order {
    Order
}

#[audited(event = "order.submitted", err = |error| error.event())]
fn late(order_id: Uuid) -> Vec<Order> {
    Vec::new()
}

#[audited(event = "order.submitted", err = "order.rejected", infallible)]
fn denied(order_id: Uuid) -> Result<Order, ()> {
    Ok(Order)
}

fn main() {}
