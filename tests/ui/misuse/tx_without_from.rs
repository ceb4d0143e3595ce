use audit_runtime::audited;
use audit_runtime::sqlx::PgConnection;
use uuid::Uuid;

#[derive(Debug)]
struct Refused;

#[audited(event = "position.updated", tx = connection)]
async fn apply(connection: &mut PgConnection, position_id: Uuid) -> Result<(), Refused> {
    Ok(())
}

fn main() {}
