use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "position.updated", changes(position))]
fn first(position_id: Uuid, position: &mut Vec<u8>) -> &mut u8 {
    &mut position[0]
}

fn main() {}
