use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit(event = "order.cancelled", entitty = "order")]
pub struct Cancelled {
    pub order_id: Uuid,
}

#[derive(AuditEvent)]
#[audit(event = "order.cancelled")]
pub struct Rejected {
    #[audit(skipp)]
    pub order_id: Uuid,
}

fn main() {}
