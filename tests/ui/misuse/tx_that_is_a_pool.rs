use audit_runtime::audited;
use audit_runtime::sqlx::{self, PgPool};
use uuid::Uuid;

#[audited(event = "position.updated", tx = pool)]
async fn apply(pool: &PgPool, position_id: Uuid) -> Result<(), sqlx::Error> {
    Ok(())
}

fn main() {}
