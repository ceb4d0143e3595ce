use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid) -> Missing {
    Ok(1)
}

#[audited(event = "order.submitted")]
async fn later(order_id: Uuid) -> Missing<u8> {
    Ok(1)
}

fn main() {}
