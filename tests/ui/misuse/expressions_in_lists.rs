use audit_runtime::audited;
use uuid::Uuid;

struct Desk;

impl Desk {
    #[audited(event = "order.submitted", skip(self.pool))]
    fn part_of_self(&self, order_id: Uuid) {}
}

#[audited(event = "order.submitted", skip(&size))]
fn reference(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", only(*size))]
fn dereference(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", skip(*))]
fn all(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", redact(Order::size))]
fn path(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", changes(&mut size))]
fn change(order_id: Uuid, size: &mut u8) {}

#[audited(event = "order.submitted", fields(size = ))]
fn nothing(order_id: Uuid, size: u8) {}

#[audited(event = "order.submitted", fields(size: 3))]
fn colon(order_id: Uuid) {}

#[audited(event = "order.submitted", fields(order.size))]
fn part(order_id: Uuid, order: (u8, u8)) {}

#[audited(event = "order.submitted", result = ?value)]
fn sigil(order_id: Uuid) -> u8 {
    1
}

fn main() {}
