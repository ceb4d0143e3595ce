use audit_runtime::audited;

#[derive(serde::Serialize)]
struct Order;

#[audited(event = "order.made", id = none, error = skip)]
fn unit() {}

#[audited(event = "order.made", id = none, error = ?)]
fn value() -> Order {
    Order
}

#[audited(event = "order.made", id = none, error = |error| error.code())]
fn late() -> Order {
    Order
}

#[audited(event = "order.made", id = none, error = nothing)]
fn nothing() -> Result<u8, u8> {
    Ok(1)
}

#[audited(event = "order.made", err = |error| "order.refused", id = none, ok = |n| *n > 0)]
fn number() -> u8 {
    1
}

fn main() {}
