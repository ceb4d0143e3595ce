use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit(event = "order.cancelled")]
enum Cancelled {
    One(Uuid),
}

fn main() {
    let _ = Cancelled::One(Uuid::nil());
}
