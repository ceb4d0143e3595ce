use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit(event = "session.opened")]
pub struct Opened {
    pub session: Uuid,
    pub password: String,
}

fn main() {}
