use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "key.rotated", changes(api_key))]
fn rotate(key_id: Uuid, api_key: &mut String) {}

#[audited(event = "key.rotated", changes(count), redact(count))]
fn both(key_id: Uuid, count: &mut u32) {}

fn main() {}
