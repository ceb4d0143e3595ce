use audit_runtime::audited;

#[audited(event = "point.drawn", id = none)]
fn draw((X, y): (u8, u8)) {}

fn main() {}
