use audit_runtime::audited;
use uuid::Uuid;

struct Connection;

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid, connection: &Connection) {}

fn main() {}
