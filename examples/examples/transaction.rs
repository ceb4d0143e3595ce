//! Stores an event in the caller's own transaction: the change and its event, or neither.
//!
//! DATABASE_URL=postgres://.. cargo run -p examples --example transaction

use audit_runtime::admin::Admin;
use audit_runtime::sqlx::{self, PgPool, Postgres, Transaction};
use audit_runtime::trail::Trail;
use audit_runtime::{Audit, audited};
use std::time::Duration;
use uuid::Uuid;

#[derive(Clone, Copy, serde::Serialize)]
struct Position {
    quantity: i64,
}

#[audited(event = "position.updated", err = "position.failed", tx = tx, changes(position))]
async fn buy(
    tx: &mut Transaction<'_, Postgres>,
    position_id: Uuid,
    position: &mut Position,
    quantity: i64,
) -> Result<(), sqlx::Error> {
    position.quantity += quantity;
    let statement = "INSERT INTO positions VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET quantity = excluded.quantity";
    sqlx::query(statement).bind(position_id).bind(position.quantity).execute(&mut **tx).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL")?;
    let pool = PgPool::connect(&url).await?;
    Admin::new(pool.clone()).migrate().await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS positions (id uuid PRIMARY KEY, quantity bigint)").execute(&pool).await?;
    let audit = Audit::builder().postgres(url).memory().start()?;
    audit.install()?;

    let (position_id, mut position) = (Uuid::now_v7(), Position { quantity: 0 });
    let mut tx = pool.begin().await?;
    buy(&mut tx, position_id, &mut position, 3).await?;
    tx.commit().await?;

    let mut tx = pool.begin().await?;
    buy(&mut tx, position_id, &mut position.clone(), 1_000_000).await?;
    tx.rollback().await?;

    for event in Trail::new(pool).entity("position", position_id).await? {
        println!("{} {}", event.event_type, event.data["changes"]);
    }
    audit.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
