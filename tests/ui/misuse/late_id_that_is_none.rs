use audit_runtime::audited;

#[audited(event = "order.submitted", id = |number| *number)]
fn submit() -> f64 {
    7.5
}

fn main() {}
