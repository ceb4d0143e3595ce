use audit_runtime::audited;
use uuid::Uuid;

struct Desk {
    mode: u8,
}

impl Desk {
    #[audited(event = "desk.changed", changes(self.mode))]
    fn change(mut self, desk_id: Uuid) -> Self {
        self.mode += 1;
        self
    }

    #[audited(event = "desk.changed", changes(self.mode))]
    fn nobody(desk_id: Uuid) {}
}

fn main() {}
