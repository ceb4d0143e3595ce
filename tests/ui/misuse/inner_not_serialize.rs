use audit_runtime::audited;
use std::sync::Arc;
use uuid::Uuid;

struct Order;

#[derive(serde::Serialize)]
struct Page<T> {
    items: Vec<T>,
}

#[audited(event = "order.listed", id = none)]
fn in_a_result(size: u8) -> Result<Vec<Order>, String> {
    Ok(Vec::new())
}

#[audited(event = "order.listed", id = none)]
fn in_a_tuple(order: &Option<(Order, u8)>) {}

#[audited(event = "order.listed", id = none)]
async fn in_a_wrapper() -> Option<Page<Arc<Order>>> {
    None
}

#[audited(event = "order.listed", id = none, fields(orders = vec![Order]))]
fn in_a_field() {}

#[audited(event = "order.listed", changes(orders))]
fn in_a_change(order_id: Uuid, orders: &mut Vec<Order>) {}

#[derive(audit_runtime::AuditEvent)]
#[audit(event = "order.listed", id = none)]
struct Listed {
    orders: Vec<Order>,
}

fn main() {}
