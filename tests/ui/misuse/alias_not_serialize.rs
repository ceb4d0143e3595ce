use audit_runtime::audited;
use uuid::Uuid;

struct Receipt;
type AppResult<T> = Result<T, String>;

#[audited(event = "order.submitted")]
async fn submit(order_id: Uuid) -> AppResult<Receipt> {
    Ok(Receipt)
}

#[audited(event = "order.submitted")]
fn maybe(order_id: Uuid) -> Option<AppResult<Receipt>> {
    None
}

fn main() {}
