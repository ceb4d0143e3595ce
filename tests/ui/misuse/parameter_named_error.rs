use audit_runtime::audited;
use uuid::Uuid;

type Checked = Result<u8, ()>;

#[audited(event = "order.submitted")]
fn by_name(order_id: Uuid, error: &str) -> Result<u8, ()> {
    Ok(1)
}

#[audited(event = "order.submitted")]
fn by_type(order_id: Uuid, error: &str) -> Checked {
    Ok(1)
}

#[audited(event = "order.submitted")]
fn of_a_value(order_id: Uuid, error: &str) -> String {
    error.into()
}

fn main() {}
