use audit_runtime::audited;

struct Desk;

#[audited(event = "order.submitted")]
impl Desk {
    fn submit(&self) {}
}

fn main() {
    Desk.submit();
}
