use audit_runtime::audited;
use uuid::Uuid;

struct Position;

#[audited(event = "position.updated", changes(position))]
fn apply(position_id: Uuid, position: &mut Position) {}

fn main() {}
