use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "position.updated", changes(quantty))]
fn apply(position_id: Uuid, quantity: &mut u32) {}

#[audited(event = "position.updated", changes(self))]
fn whole(position_id: Uuid) {}

#[audited(event = "position.updated", changes(quantity + 1))]
fn expression(position_id: Uuid, quantity: &mut u32) {}

fn main() {}
