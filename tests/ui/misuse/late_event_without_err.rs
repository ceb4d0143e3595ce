use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = |n| if *n > 0 { "order.a" } else { "order.b" }, entity = "order")]
fn submit(order_id: Uuid) -> Result<u8, ()> {
    Ok(1)
}

fn main() {}
