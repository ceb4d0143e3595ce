use audit_runtime::audited;

const ACCOUNT: &str = "account";

struct Accounts;

#[audited(id = account_id)]
impl Accounts {
    pub fn open(account_id: u64) {}
}

#[audited(entity = ACCOUNT)]
impl Accounts {
    pub fn close(account_id: u64) {}
}

#[audited(entity = "Account")]
impl Accounts {
    pub fn rename(account_id: u64) {}
}

#[audited(entity = "billing.account")]
impl Accounts {
    pub fn renumber(account_id: u64) {}
}

#[audited(entity = "account", prefix = "Billing")]
impl Accounts {
    pub fn grade(account_id: u64) {}
}

#[audited(entity = "account", event = "account.changed")]
impl Accounts {
    pub fn change(account_id: u64) {}
}

#[audited(entity = "account")]
impl Accounts {
    pub fn größe(account_id: u64) {}
    pub fn _hidden(account_id: u64) {}
    #[audited(event = "account.sized")]
    pub fn Größe(account_id: u64) {}
}

#[audited(entity = "account")]
impl Accounts {
    pub fn count() {}
}

#[audited(entity = "account")]
impl Accounts {
    fn private(account_id: u64) {}
}

fn main() {}
