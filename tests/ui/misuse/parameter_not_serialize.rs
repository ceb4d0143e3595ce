use audit_runtime::audited;
use uuid::Uuid;

struct Ledger;

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid, ledger: &Ledger) {}

fn main() {}
