use audit_runtime::audited;
use uuid::Uuid;

#[derive(Debug)]
struct Refused;

#[audited(event = "mode.changed", required)]
async fn set(mode_id: Uuid) -> Result<(), Refused> {
    Ok(())
}

fn main() {}
