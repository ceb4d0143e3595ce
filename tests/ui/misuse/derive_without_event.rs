use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
pub struct Cancelled {
    pub order_id: Uuid,
}

fn main() {}
