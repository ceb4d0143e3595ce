use audit_runtime::audited;

#[audited(event = "order.submitted", id = order.)]
fn submit(order: &str) -> usize {
    order.len()
}

fn main() {
    // The function is there all the same.
    submit("x");
}
