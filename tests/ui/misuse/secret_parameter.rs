use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "session.opened", id = user_id)]
fn log_in(user_id: Uuid, password: &str) {}

fn main() {}
