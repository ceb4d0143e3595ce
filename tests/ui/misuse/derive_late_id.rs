use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit(event = "order.cancelled", id = |event| event.order)]
pub struct Cancelled {
    pub order: Uuid,
}

fn main() {}
