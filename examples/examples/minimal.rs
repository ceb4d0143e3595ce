//! Records calls and prints them to standard error as they come. Needs no database.
//!
//! cargo run -p examples --example minimal

use audit_runtime::{Audit, audited};
use std::time::Duration;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
#[error("the desk takes at most 100 shares at once, not {0}")]
struct TooMany(u32);

#[audited(event = "order.submitted", err = "order.rejected", actor = "user:ada")]
fn submit(order_id: Uuid, ticker: &str, quantity: u32) -> Result<u32, TooMany> {
    if quantity > 100 { Err(TooMany(quantity)) } else { Ok(quantity) }
}

fn main() -> anyhow::Result<()> {
    let audit = Audit::builder().print().start()?;
    audit.install()?;

    submit(Uuid::now_v7(), "ACME", 10)?;
    let _ = submit(Uuid::now_v7(), "ACME", 1_000);

    audit.shutdown_blocking(Duration::from_secs(1))?;
    Ok(())
}
