//! Numbers of JSON as the decimals they stand for.

use std::hash::{Hash, Hasher};

/// The most digits before the decimal point, and behind it, that PostgreSQL's `numeric` holds
/// (<https://www.postgresql.org/docs/current/datatype-numeric.html>).
const MOST_WHOLE: i64 = 131_072;
const MOST_FRACTION: i64 = 16_383;

/// A number: `0.d1d2d3.. * 10^exponent`, without zeros at either end of the digits.
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// Takes the text of a JSON number apart. An exponent beyond 64 bits is the largest or smallest
    /// one.
    fn of(text: &'a str) -> Self {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let limit = if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
        let exponent = exponent.parse::<i64>().map_or(limit, |exponent| exponent.clamp(i64::MIN / 4, i64::MAX / 4));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let zeros = |digits: &[u8]| digits.iter().take_while(|digit| **digit == b'0').count();
        let mut whole = &whole.as_bytes()[zeros(whole.as_bytes())..];
        let mut fraction = fraction.as_bytes();
        let mut point = whole.len() as i64;
        if whole.is_empty() {
            let leading = zeros(fraction);
            fraction = &fraction[leading..];
            point = -(leading as i64);
        }
        fraction = without_trailing_zeros(fraction);
        if fraction.is_empty() {
            whole = without_trailing_zeros(whole);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Self { is_negative: false, whole, fraction, exponent: 0 };
        }
        Self { is_negative, whole, fraction, exponent: exponent + point }
    }

    fn digits(&self) -> impl Iterator<Item = &u8> {
        self.whole.iter().chain(self.fraction)
    }
}

fn without_trailing_zeros(digits: &[u8]) -> &[u8] {
    let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    &digits[..end]
}

/// Returns whether two texts stand for the same number.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (Decimal::of(one), Decimal::of(other));
    one.is_negative == other.is_negative && one.exponent == other.exponent && one.digits().eq(other.digits())
}

/// Hashes the number, and not how it is written.
pub(super) fn hash<H: Hasher>(text: &str, state: &mut H) {
    let decimal = Decimal::of(text);
    (decimal.is_negative, decimal.exponent).hash(state);
    decimal.digits().for_each(|digit| digit.hash(state));
}

/// Returns whether PostgreSQL's `numeric`, and so its `jsonb`, takes this number of JSON.
pub(in crate::capture::json) fn fits_numeric(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(exponent) = exponent.parse::<i64>() else {
        return false;
    };
    // Zeros count as they are written: PostgreSQL keeps those behind the point.
    let behind = fraction.len() as i64 - exponent.clamp(-MOST_WHOLE * 2, MOST_WHOLE * 2);
    let leading = whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count() as i64;
    let before = whole.len() as i64 - leading + exponent.clamp(-MOST_WHOLE * 2, MOST_WHOLE * 2);
    // It reads no exponent beyond 32 bits halved, zero or not.
    exponent.unsigned_abs() < u64::from(u32::MAX / 4) && behind <= MOST_FRACTION && before <= MOST_WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_whichever_way_they_are_written() {
        for (one, other) in [
            ("1", "1.0"),
            ("1.10", "11e-1"),
            ("-1200", "-12E2"),
            ("0.001", "1e-3"),
            ("0", "-0.000e17"),
            ("1e400", "10e399"),
            ("100.0", "1e+2"),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert!(is_same(one, other) && is_same(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("1", "-1"),
            ("199.4", "199.39999999999998"),
            ("1e400", "1e401"),
            ("10", "1"),
            ("0.1", "0.01"),
            ("9007199254740991.0", "9007199254740990"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn numbers_beyond_numeric_are_told() {
        let digits = "9".repeat(131_072);
        for fits in ["0", "1e131071", "-0.1e131072", "1e-16383", "1.5e-16382", &digits, "0.000", "1E+10"] {
            assert!(fits_numeric(fits), "{fits}");
        }
        let long = format!("1{digits}");
        for beyond in [
            "1e131072",
            "10e131071",
            "1e-16384",
            "1.5e-16383",
            &long,
            "1e9999999999",
            "1e99999999999999999999",
            "1e-9223372036854775808",
        ] {
            assert!(!fits_numeric(beyond), "{beyond}");
        }
    }
}
