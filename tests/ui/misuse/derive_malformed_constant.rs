use audit_runtime::AuditEvent;
use uuid::Uuid;

const CANCELLED: &str = "Order Cancelled";

#[derive(AuditEvent)]
#[audit(event = CANCELLED, entity = "order")]
pub struct Cancelled {
    pub order_id: Uuid,
}

fn main() {}
