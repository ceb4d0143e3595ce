use audit_runtime::{audited, execution::ORDER_SUBMITTED};
use uuid::Uuid;

#[audited(event = ORDER_SUBMITTED)]
fn submit(order_id: Uuid) {}

fn main() {}
