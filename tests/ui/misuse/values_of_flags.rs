use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", intent = true)]
fn intent(order_id: Uuid) {}

#[audited(event = "order.submitted", skip_all = true)]
fn skip_all(order_id: Uuid) {}

#[audited(event = "order.submitted", required = false)]
fn required(order_id: Uuid) -> anyhow::Result<()> {
    Ok(())
}

#[audited(event = "order.submitted", fallible(true))]
fn fallible(order_id: Uuid) -> anyhow::Result<()> {
    Ok(())
}

fn main() {}
