use audit_runtime::audited;
use uuid::Uuid;

trait Desk {
    #[audited(event = "order.submitted")]
    fn submit(&self, order_id: Uuid);
}

fn main() {}
