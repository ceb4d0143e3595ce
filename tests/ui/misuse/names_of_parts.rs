use audit_runtime::audited;
use axum::Json;

struct Order;
struct State;
struct Transaction;

#[audited(event = "order.placed")]
fn content(order_id: u64, order: Json<Order>) {}

#[audited(event = "order.placed")]
fn domain(order_id: u64, state: State) {}

#[audited(event = "order.placed")]
fn money(order_id: u64, transaction: &Transaction) {}

fn main() {}
