use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit(event = "order.cancelled")]
pub struct Cancelled {
    pub order_id: Uuid,
    pub why: String,
    #[audit(rename = "why")]
    pub reason: String,
}

fn main() {}
