use audit_runtime::audited;
use uuid::Uuid;

type Checked = Result<u8, ()>;

#[audited(event = |n| if *n > 0 { "order.a" } else { "order.b" }, entity = "order")]
fn submit(order_id: Uuid) -> Checked {
    Ok(1)
}

fn main() {}
