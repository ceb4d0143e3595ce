use audit_runtime::audited;

struct Accounts;

#[audited(
    entity = "account",
    id = acount_id,
    tenant = self.tenant,
    skip(dbb),
    redact(iban),
    personal(emial),
    subject = custmer,
    fields(kind = |_| kid),
    methods(pub, clse, !gett, *_twice, !list_*),
)]
impl Accounts {
    pub fn open(account_id: u64, customer: u64, email: &str, db: &str, kind: &str) {}
    pub fn get(account_id: u64) {}
    fn close(account_id: u64) {}
}

#[audited(entity = "account", id = (account_id, number))]
impl Accounts {
    pub fn rename(account_id: u64) {}
    pub fn renumber(number: u64) {}
}

#[audited(entity = "account", tier = 3)]
impl Accounts {
    pub fn grade(account_id: u64) {}
}

#[audited(entity = "account", method(pub))]
impl Accounts {
    pub fn degrade(account_id: u64) {}
}

#[audited(entity = "account", methods(pub(crate)))]
impl Accounts {
    pub fn upgrade(account_id: u64) {}
}

#[audited(entity = "account", methods("get_*"))]
impl Accounts {
    pub fn regrade(account_id: u64) {}
}

#[audited(entity = "account", methods(3, pub))]
impl Accounts {
    pub fn recount(account_id: u64) {}
}

fn main() {}
