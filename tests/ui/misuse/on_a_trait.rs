use audit_runtime::audited;

#[audited(event = "order.submitted")]
pub trait Desk {
    fn submit(&self);
}

fn main() {}
