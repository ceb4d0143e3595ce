use audit_runtime::audited;
use uuid::Uuid;

#[audited(name = "order.submitted")]
fn name(order_id: Uuid) {}

#[audited(event = "order.submitted", ret)]
fn ret(order_id: Uuid) -> u8 {
    1
}

#[audited(event = "order.submitted", err)]
fn err(order_id: Uuid) -> Result<u8, String> {
    Ok(1)
}

#[audited(event = "order.submitted", level = "info")]
fn level(order_id: Uuid) {}

#[audited(event = "order.submitted", fields(%order_id))]
fn displayed(order_id: Uuid) {}

#[audited(event = "order.submitted", fields(?order_id))]
fn debugged(order_id: Uuid) {}

#[audited(event = "order.submitted", fields(order.size = 3))]
fn dotted(order_id: Uuid) {}

#[audited(event = "order.submitted", skip(a), skip(b, c))]
fn twice(order_id: Uuid, a: u8, b: u8, c: u8) {}

#[audited(event = "order.submitted", err(Debug))]
fn err_debug(order_id: Uuid) -> Result<u8, String> {
    Ok(1)
}

#[audited(event = "order.submitted", target = "desk")]
fn target(order_id: Uuid) {}

#[audited(event = "order.submitted", follows_from = cause)]
fn follows_from(order_id: Uuid, cause: Uuid) {}

fn main() {}
