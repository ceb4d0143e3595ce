//! Sends stored events to a sink of its own, here standard output, as JSON Lines, from a cursor
//! that it keeps.
//!
//! DATABASE_URL=postgres://.. cargo run -p examples --example custom_sink

use audit_runtime::admin::Admin;
use audit_runtime::sqlx::PgPool;
use audit_runtime::trail::{Cursor, EventFilter, Trail};
use audit_runtime::{Audit, audited};
use futures_util::{StreamExt, pin_mut};
use std::time::Duration;
use uuid::Uuid;

#[audited(event = "order.accepted")]
fn accept(order_id: Uuid) {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL")?;
    let pool = PgPool::connect(&url).await?;
    Admin::new(pool.clone()).migrate().await?;
    let audit = Audit::builder().postgres(url).memory().start()?;
    audit.install()?;
    (0..3).for_each(|_| accept(Uuid::now_v7()));
    audit.flush().await?;

    // `follow` also waits for future events, but this program ends after three.
    let trail = Trail::new(pool);
    let events = trail.follow(EventFilter::new().event("order.accepted")).take(3);
    pin_mut!(events);
    let mut delivered = None;
    while let Some(event) = events.next().await {
        let event = event?;
        println!("{}", serde_json::to_string(&event)?);
        // Stored beside the sink's own data, it marks where to continue: EventFilter::after.
        delivered = Some(Cursor::of(&event));
    }
    anyhow::ensure!(delivered.is_some(), "nothing was delivered");

    audit.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
