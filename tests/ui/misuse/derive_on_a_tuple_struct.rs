use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit(event = "order.cancelled")]
struct Cancelled(Uuid);

fn main() {
    let _ = Cancelled(Uuid::nil()).0;
}
