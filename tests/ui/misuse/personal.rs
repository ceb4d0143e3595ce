use audit_runtime::audited;
use uuid::Uuid;

#[derive(serde::Serialize)]
struct Account {
    email: String,
}

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

#[audited(event = "account.opened", personal(account), changes(account.email), subject = account_id)]
fn changed(account_id: Uuid, account: &mut Account) {}

#[audited(event = "account.opened", personal(result), result = skip, subject = account_id)]
fn no_result(account_id: Uuid) -> u8 {
    7
}

#[audited(event = "account.opened", personal(email = |account| account.id))]
fn late_owner(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(email = account_id), subject = account_id)]
fn owned(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(email = "account_id"))]
fn literal(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(email = [1, 2]))]
fn owner_not_displayed(account_id: Uuid, email: &str) {}

#[audited(event = "account.opened", personal(email), subject = |account| [account.len()])]
fn late_not_displayed(account_id: Uuid, email: &str) -> String {
    email.to_owned()
}

#[audited(event = "account.opened", personal(email), subject = [1, 2])]
fn not_displayed(account_id: Uuid, email: &str) {}

fn main() {}
