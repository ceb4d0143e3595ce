use audit_runtime::audited;

#[audited(event = "stock.taken", id = none, ok = true)]
fn take() -> bool {
    true
}

#[audited(event = "stock.taken", id = none, ok = |left| left)]
fn given() -> Option<u8> {
    None
}

fn main() {}
