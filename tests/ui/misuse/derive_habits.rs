use audit_runtime::AuditEvent;
use uuid::Uuid;

#[derive(AuditEvent)]
#[audit("order.cancelled")]
struct Quoted {
    order_id: Uuid,
}

#[derive(AuditEvent)]
#[audit(event = "order.cancelled", entity_id = order_id)]
struct Column {
    order_id: Uuid,
}

#[derive(AuditEvent)]
#[audit(event = "order.cancelled", redact(note))]
struct OnStruct {
    order_id: Uuid,
    note: String,
}

#[derive(AuditEvent)]
#[audit(event = "order.cancelled")]
struct OnField {
    #[audit(id)]
    order: Uuid,
}

#[derive(AuditEvent)]
#[audit(event = "order.cancelled")]
struct Valued {
    #[audit(skip = true)]
    order_id: Uuid,
}

#[derive(AuditEvent)]
#[audit(event = "order.cancelled" entity = "order")]
struct NoComma {
    order_id: Uuid,
}

#[derive(AuditEvent)]
#[audit(event = "order.cancelled", entity = |event| event.kind)]
struct Late {
    order_id: Uuid,
}

#[derive(AuditEvent)]
#[audit(event = 3)]
struct Number {
    order_id: Uuid,
}

fn main() {}
