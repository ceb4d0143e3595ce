use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit(event = "account.opened")]
struct WithoutSubject {
    account_id: Uuid,
    #[audit(personal)]
    email: String,
}

#[derive(AuditEvent)]
#[audit(event = "account.opened", subject = account_id)]
struct WithoutPersonal {
    account_id: Uuid,
}

#[derive(AuditEvent)]
#[audit(event = "account.opened", subject = account_id)]
struct Redacted {
    account_id: Uuid,
    #[audit(personal, redact)]
    email: String,
}

fn main() {}
