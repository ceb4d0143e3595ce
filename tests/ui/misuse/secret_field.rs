use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "user.invited", fields(api_key = user.key))]
fn invite(user_id: Uuid, #[allow(unused)] user: &str) {}

fn main() {}
