use audit_runtime::audited;
use audit_runtime::sqlx::{self, PgConnection};
use uuid::Uuid;

#[audited(event = "position.updated", tx = connection)]
fn apply(connection: &mut PgConnection, position_id: Uuid) -> Result<(), sqlx::Error> {
    Ok(())
}

fn main() {}
