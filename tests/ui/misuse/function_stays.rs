//! The one error of this file is the attribute's: the function is there for those who call it.

use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", actor)]
fn submit(order_id: Uuid) -> u8 {
    7
}

fn main() {
    let number: u8 = submit(Uuid::nil());
    assert_eq!(number, 7);
}
