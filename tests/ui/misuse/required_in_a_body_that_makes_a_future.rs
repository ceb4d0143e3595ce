use audit_runtime::audited;
use std::future::{Future, ready};
use uuid::Uuid;

#[audited(event = "mode.changed", required)]
fn set(mode_id: Uuid) -> impl Future<Output = anyhow::Result<()>> {
    println!("now");
    ready(Ok(()))
}

fn main() {}
