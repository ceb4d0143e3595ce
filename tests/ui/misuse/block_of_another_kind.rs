use audit_runtime::audited;

#[audited(entity = "account")]
trait Accounts {
    fn open(&self, account_id: u64) {}
}

#[audited(entity = "account")]
struct Account;

#[audited(event = "account.opened")]
mod accounts {
    pub fn open(account_id: u64) {}
}

#[audited(entity = "account")]
mod empty {}

fn main() {
    accounts::open(1);
}
