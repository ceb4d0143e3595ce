use audit_runtime::audited;

#[audited(event = "order.submitted")]
fn submit(order_id: u64) {}

fn main() {}
