use audit_runtime::audited;

#[audited(event = "order.submitted")]
pub use std::fmt;

#[audited(event = "order.submitted")]
type Order = u8;

#[audited(event = "order.submitted")]
unsafe extern "C" {
    fn submit();
}

#[audited(event = "order.submitted")]
unsafe trait Desk {}

fn main() {}
