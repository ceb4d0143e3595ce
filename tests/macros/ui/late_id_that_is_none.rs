use audit_runtime::audited;

#[audited(event = "order.submitted", id = |number| *number)]
fn submit() -> u64 {
    7
}

fn main() {}
