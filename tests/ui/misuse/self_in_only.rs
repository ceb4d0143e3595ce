use audit_runtime::audited;
use uuid::Uuid;

struct Desk;

impl Desk {
    #[audited(event = "order.submitted", only(self))]
    fn submit(&self, order_id: Uuid) {}
}

fn main() {}
