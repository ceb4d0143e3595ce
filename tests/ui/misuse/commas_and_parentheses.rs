use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted" id = order_id)]
fn no_comma(order_id: Uuid) {}

#[audited(event: "order.submitted")]
fn colon(order_id: Uuid) {}

#[audited(event("order.submitted"))]
fn parentheses(order_id: Uuid) {}

#[audited(event == "order.submitted")]
fn comparison(order_id: Uuid) {}

#[audited(event = "order.submitted", when(size > 3))]
fn condition(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", result(skip))]
fn result(order_id: Uuid) -> u8 {
    1
}

#[audited(event = "order.submitted", skip[size])]
fn brackets(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", skip = size)]
fn equals(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", fields(a = 1; b = 2))]
fn semicolon(order_id: Uuid) {}

#[audited(event = "order.submitted",, intent)]
fn two_commas(order_id: Uuid) {}

fn main() {}
