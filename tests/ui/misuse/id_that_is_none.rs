use audit_runtime::audited;

#[audited(event = "order.submitted")]
fn submit(order_id: f64) {}

fn main() {}
