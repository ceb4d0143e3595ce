use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "order.submitted", rename(size = "quantity"))]
fn rename(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", skip_serializing(size))]
fn skip_serializing(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", crate = "audit runtime")]
fn not_a_path(order_id: Uuid) {}

#[audited(event = "order.submitted", with = "hex")]
fn with(order_id: Uuid) {}

#[audited(event = "order.submitted", default)]
fn default(order_id: Uuid) {}

#[audited(event = "order.submitted", flatten)]
fn flatten(order_id: Uuid) {}

#[audited(event = "order.submitted", rename_all = "camelCase")]
fn rename_all(order_id: Uuid) {}

#[audited(event = "order.submitted", skip_serializing_if = "Option::is_none")]
fn skip_if(order_id: Uuid) {}

fn main() {}
