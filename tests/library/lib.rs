//! A library that annotates its functions. The application that depends on it chooses where the
//! events go.

use audit_runtime::audited;

/// Reports an amount that the ledger cannot represent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the amount exceeds the ledger's range")
    }
}

impl std::error::Error for Overflow {}

/// Adds interest to a balance in cents.
///
/// # Errors
/// The sum exceeds 64 bits.
#[audited(event = "interest.added", entity = "account", id = none)]
pub fn add_interest(account: &str, cents: i64, basis_points: i64) -> Result<i64, Overflow> {
    let interest = cents.checked_mul(basis_points).ok_or(Overflow)? / 10_000;
    cents.checked_add(interest).ok_or(Overflow)
}
