use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.checked")]
fn check(order_id: Uuid, result: u8) -> u8 {
    result
}

#[audited(event = "order.checked")]
fn explain(order_id: Uuid, error: &str) -> Result<(), String> {
    Err(error.to_owned())
}

// Nothing of its own is recorded under that name here.
#[audited(event = "order.checked")]
fn note(order_id: Uuid, result: u8, error: &str) {}

fn main() {}
