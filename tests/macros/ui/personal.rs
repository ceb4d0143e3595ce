use audit_runtime::audited;
use uuid::Uuid;

#[audited(event = "account.opened", personal(email))]
fn without_subject(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", subject = account_id)]
fn without_personal(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(emial), subject = account_id)]
fn misspelt(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(email), redact(email), subject = account_id)]
fn redacted(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(email), skip(email), subject = account_id)]
fn skipped(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(email), changes(email), subject = account_id)]
fn changed(account_id: Uuid, email: &mut String) {}

#[audited(event = "account.opened", personal(result), result = skip, subject = account_id)]
fn no_result(account_id: Uuid) -> u8 {
    7
}

#[audited(event = "account.opened", personal(email), subject = |account| account.id)]
fn late(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(email), subject = account_id, tx = tx)]
async fn in_a_transaction(tx: &mut sqlx::PgConnection, account_id: Uuid, email: &str) -> Result<(), sqlx::Error> {
    Ok(())
}

#[audited(event = "account.opened", personal(email), subject = [1, 2])]
fn not_displayed(account_id: Uuid, email: &str) {}

fn main() {}
