use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "position.updated", changes(quantity))]
fn apply(position_id: Uuid, mut quantity: u32) {
    quantity += 1;
}

#[audited(event = "position.updated", changes(quantities))]
fn replace(position_id: Uuid, quantities: &[u32]) {}

fn main() {}
