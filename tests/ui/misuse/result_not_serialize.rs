use audit_runtime::audited;
use uuid::Uuid;

struct Receipt;

#[audited(event = "order.submitted")]
async fn submit(order_id: Uuid) -> Result<Receipt, String> {
    Ok(Receipt)
}

fn main() {}
