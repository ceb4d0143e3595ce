#![deny(unused_variables, unused_mut, unused_must_use, unreachable_code, dead_code, unused_assignments)]

use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", skip(skipped), id = None::<Uuid>)]
pub fn parameters(skipped: u8, mut captured: u8, mut changed: u8) -> u8 {
    changed += 1;
    changed
}

#[audited(event = "order.submitted")]
pub async fn locals(order_id: Uuid) -> Result<u8, String> {
    let unused = 1;
    "7".parse::<u8>();
    return Ok(3);
    Ok(4)
}

#[audited(event = "order.submitted")]
fn never_called(order_id: Uuid) {}

fn main() {
    parameters(1, 2, 3);
    drop(locals(Uuid::nil()));
}
