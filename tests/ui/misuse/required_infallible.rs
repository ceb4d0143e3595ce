use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "mode.changed", required)]
fn set(mode_id: Uuid) {}

fn main() {}
