use audit_runtime::AuditEvent;

pub struct Price(pub u32);

#[derive(AuditEvent)]
#[audit(event = "order.priced", id = id)]
pub struct Priced {
    pub id: f64,
    pub price: Price,
}

fn main() {}
