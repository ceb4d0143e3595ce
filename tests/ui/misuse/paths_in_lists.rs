use audit_runtime::audited;
use uuid::Uuid;

struct Order {
    password: String,
}

#[audited(event = "order.submitted", only(order_id = %order_id))]
fn assigned(order_id: Uuid) {}

#[audited(event = "order.submitted", only(order.password))]
fn only(order_id: Uuid, order: Order) {}

#[audited(event = "order.submitted", redact(order.password))]
fn redact(order_id: Uuid, order: Order) {}

#[audited(event = "order.submitted", skip(order.password))]
fn skip(order_id: Uuid, order: Order) {}

fn main() {}
