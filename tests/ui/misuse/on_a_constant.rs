use audit_runtime::audited;

#[audited(event = "order.submitted")]
pub const LIMIT: u8 = 3;

fn main() {}
