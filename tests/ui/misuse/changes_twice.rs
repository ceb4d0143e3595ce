use audit_runtime::audited;
use uuid::Uuid;

struct Desk {
    mode: u8,
}

impl Desk {
    #[audited(event = "desk.changed", changes(self.mode, mode))]
    fn change(&mut self, desk_id: Uuid, mode: &mut u8) {}

    #[audited(event = "desk.changed", changes(mode))]
    fn clash(&mut self, desk_id: Uuid, mode: &mut u8, changes: u8) {}

    #[audited(event = "desk.changed", changes(mode), fields(changes = 1))]
    fn field(&mut self, desk_id: Uuid, mode: &mut u8) {}
}

fn main() {}
