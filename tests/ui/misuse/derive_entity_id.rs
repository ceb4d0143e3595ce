use audit_runtime::EntityId;

#[derive(EntityId)]
enum Either {
    Number(u64),
}

#[derive(EntityId)]
struct Line {
    order: u64,
    number: u32,
}

#[derive(EntityId)]
struct Nothing;

#[derive(EntityId)]
#[audit(kind = "account")]
struct Account(u64);

fn main() {}
