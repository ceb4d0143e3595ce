//! Tests what a function records, without a database.
//!
//! cargo test -p examples --example testing

use audit_runtime::audited;
use uuid::Uuid;

/// Reports that an account has too little.
#[derive(Debug, thiserror::Error)]
#[error("balance {balance} is less than {amount}")]
pub struct Overdrawn {
    balance: i64,
    amount: i64,
}

/// Takes an amount from a balance.
///
/// # Errors
/// The balance is less than the amount.
#[audited(event = "account.debited", err = "account.refused", changes(balance))]
pub fn debit(account_id: Uuid, balance: &mut i64, amount: i64) -> Result<(), Overdrawn> {
    if *balance < amount {
        return Err(Overdrawn { balance: *balance, amount });
    }
    *balance -= amount;
    Ok(())
}

fn main() {}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_runtime::{Outcome, testing::Probe};

    #[test]
    fn a_debit_is_on_record_with_its_change() {
        let probe = Probe::new();
        let _entered = probe.enter();
        debit(Uuid::nil(), &mut 260, 60).unwrap();
        let event = probe.only("account.debited");
        assert_eq!(event.data["changes"]["balance"]["to"], 200);
    }

    #[test]
    fn a_refused_debit_is_on_record_with_its_reason() {
        let probe = Probe::new();
        let _entered = probe.enter();
        debit(Uuid::nil(), &mut 260, 900).unwrap_err();
        let event = probe.only("account.refused");
        assert_eq!(event.outcome, Outcome::Error);
        assert_eq!(event.data["error"]["message"], "balance 260 is less than 900");
    }
}
