use audit_runtime::audited;
use audit_runtime::sqlx::PgConnection;
use uuid::Uuid;

#[audited(event = "position.updated", tx = connection)]
async fn apply(connection: &mut PgConnection, position_id: Uuid) {}

fn main() {}
