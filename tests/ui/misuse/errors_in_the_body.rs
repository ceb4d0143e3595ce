use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn wrong_type(order_id: Uuid) -> u32 {
    "seven"
}

#[audited(event = "order.submitted")]
async fn wrong_type_later(order_id: Uuid) -> Result<u32, String> {
    if order_id.is_nil() {
        return Err(7);
    }
    Ok("seven")
}

#[audited(event = "order.submitted")]
fn unknown_name(order_id: Uuid) -> u32 {
    nowhere
}

fn main() {}
