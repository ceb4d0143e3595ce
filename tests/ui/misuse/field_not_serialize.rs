use audit_runtime::audited;
use uuid::Uuid;

struct Price(u32);

#[audited(event = "order.submitted", fields(price = Price(7)))]
fn submit(order_id: Uuid) {}

fn main() {
    let _ = Price(1).0;
}
