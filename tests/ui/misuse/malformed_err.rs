use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", err = "order")]
fn submit(order_id: Uuid) -> Result<(), ()> {
    Ok(())
}

fn main() {}
