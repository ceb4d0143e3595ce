use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "user.invited")]
fn invite(user_id: Uuid, (name, access_token): (&str, &str)) {}

fn main() {}
