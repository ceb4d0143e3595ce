use audit_runtime::audited;

#[audited(event = "order.submitted")]
fn submit(ticker: &str) {}

fn main() {}
