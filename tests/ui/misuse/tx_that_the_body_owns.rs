use audit_runtime::audited;
use audit_runtime::sqlx::{self, Acquire, Postgres, Transaction};
use uuid::Uuid;

#[audited(event = "position.updated", tx = &mut tx)]
async fn apply(mut tx: Transaction<'_, Postgres>, position_id: Uuid) -> Result<(), sqlx::Error> {
    tx.commit().await
}

#[audited(event = "position.updated", tx = connection, skip_all)]
async fn acquire<'c, A: Acquire<'c, Database = Postgres>>(connection: A, position_id: Uuid) -> Result<(), sqlx::Error> {
    Ok(())
}

fn main() {}
