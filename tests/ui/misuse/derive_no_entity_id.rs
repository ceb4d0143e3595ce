use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit(event = "order.cancelled")]
pub struct Cancelled {
    pub number: Uuid,
}

fn main() {}
