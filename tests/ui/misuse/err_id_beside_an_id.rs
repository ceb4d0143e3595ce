use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.made", err_id = basket)]
fn by_default(order_id: Uuid, basket: Uuid) -> Result<u8, u8> {
    Ok(1)
}

#[audited(event = "order.made", id = none, err_id = |error| error.id)]
fn none() -> Result<u8, u8> {
    Ok(1)
}

fn main() {}
