//! Encrypts a person's data by a key of that person, and erases it by destroying the key.
//!
//! DATABASE_URL=postgres://.. cargo run -p examples --example personal_data

use audit_runtime::admin::Admin;
use audit_runtime::sqlx::PgPool;
use audit_runtime::trail::Trail;
use audit_runtime::{Audit, MasterKey, audited};
use std::time::Duration;
use uuid::Uuid;

#[audited(event = "customer.moved", personal(address), subject = format!("customer:{customer_id}"))]
fn moved(customer_id: Uuid, address: &str) {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL")?;
    let pool = PgPool::connect(&url).await?;
    Admin::new(pool.clone()).migrate().await?;
    // A service reads it from its secret store: MasterKey::from_file, from_env, from_command.
    let key = MasterKey::generate();
    let audit = Audit::builder().postgres(url).memory().master_key(key.clone()).start()?;
    audit.install()?;

    let customer_id = Uuid::now_v7();
    moved(customer_id, "12 Elm Street");
    audit.flush().await?;

    let without_key = Trail::new(pool.clone());
    let with_key = Trail::new(pool.clone()).master_key(key);
    for (reader, trail) in [("without the key", &without_key), ("with the key", &with_key)] {
        let events = trail.entity("customer", customer_id).await?;
        println!("{reader}: {}", events[0].data["address"]);
    }

    Admin::new(pool.clone()).actor("privacy officer").forget(&format!("customer:{customer_id}")).await?;
    let events = with_key.entity("customer", customer_id).await?;
    println!("once forgotten: {}", events[0].data["address"]);

    audit.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
