use audit_runtime::audited;
use audit_runtime::sqlx::PgConnection;
use uuid::Uuid;

#[derive(serde::Serialize)]
struct Order;

#[audited(event = "order.submitted", required)]
fn submit(order_id: Uuid) -> Order {
    Order
}

#[audited(event = "order.submitted", tx = connection)]
async fn insert(connection: &mut PgConnection, order_id: Uuid) -> Vec<Order> {
    Vec::new()
}

fn main() {}
