use audit_runtime::audited;

struct Accounts;
struct Db;

#[audited(entity = "account", id = account_id)]
impl Accounts {
    pub fn log_in(account_id: u64, password: &str) {}
    pub fn open(account_id: u64, db: &Db) {}
    pub const fn limit(account_id: u64) -> u64 {
        account_id
    }
    #[audited(evnt = "account.closed")]
    pub fn close(account_id: u64) {}
    #[cfg_attr(all(), audited(off))]
    pub fn get(account_id: u64) {}
    pub fn right(account_id: u64) {}
    pub fn choose<T>(account_id: u64, one: u64) -> T {
        unimplemented!("{one}")
    }
    #[audited(methods(pub))]
    pub fn name(account_id: u64) {}
}

#[audited(off)]
fn off(account_id: u64) {}

#[audited(entity = "account", personal(email))]
impl Accounts {
    pub fn mail(account_id: u64, email: &str) {}
}

fn main() {
    Accounts::log_in(1, "");
    Accounts::open(1, &Db);
    Accounts::limit(1);
    Accounts::close(1);
    Accounts::get(1);
    Accounts::right(1);
    Accounts::choose::<u8>(1, 1);
    Accounts::name(1);
    Accounts::missing(1);
    Accounts::mail(1, "");
}
