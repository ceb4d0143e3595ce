//! Floating-point numbers.

use super::append;

/// Decimals of amounts and prices: numbers of so many are written without a search for their shortest form.
const DECIMALS: usize = 4;
const SCALE: f64 = 10_000.0;
/// Below this, a number of four decimals has at most thirteen digits.
const LIMIT: f64 = 1e9;

/// Appends a finite number in its shortest form, as `serde_json` writes it.
#[inline]
pub(crate) fn float(number: f64, out: &mut Vec<u8>) {
    if !short_decimal(number, out) {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    }
}

/// Appends a number if it is one of at most four decimals; says whether it is.
///
/// It is if it equals some integer divided by 10^4: division is rounded correctly (IEEE 754), and so is what a reader makes of the
/// text. No other text of at most fifteen digits stands for the same number: none is shorter.
fn short_decimal(number: f64, out: &mut Vec<u8>) -> bool {
    let magnitude = number.abs();
    if !(magnitude < LIMIT) || magnitude == 0.0 {
        return false;
    }
    // Halves and above are rounded up: an integer that is near enough is found.
    let scaled = (magnitude * SCALE + 0.5) as u64;
    if scaled as f64 / SCALE != magnitude {
        return false;
    }
    let (whole, fraction) = (scaled / 10_000, scaled % 10_000);
    let digit = |power: u64| b'0' + (fraction / power % 10) as u8;
    let digits: [u8; DECIMALS] = [digit(1_000), digit(100), digit(10), digit(1)];
    let zeros = digits[1..].iter().rev().take_while(|digit| **digit == b'0').count();
    if number < 0.0 {
        append(out, b"-");
    }
    append(out, itoa::Buffer::new().format(whole).as_bytes());
    append(out, b".");
    append(out, &digits[..DECIMALS - zeros]);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same_as_serde_json(number: f64) {
        let mut out = Vec::new();
        float(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&number).unwrap());
    }

    #[test]
    fn numbers_are_written_as_serde_json_writes_them() {
        for number in [0.0, -0.0, 1.0, 0.1, 187.25, 0.0001, 0.00005, 1e-5, 1e9, 999_999_999.999_9, 0.1 + 0.2, 1.0 / 3.0]
        {
            for number in [number, number.next_up(), number.next_down()] {
                same_as_serde_json(number);
                same_as_serde_json(-number);
            }
        }
        (0..100_000).for_each(|number| same_as_serde_json(f64::from(number) / 1e4));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_number_is_written_as_serde_json_writes_it(
            any in any::<f64>().prop_filter("finite", |number| number.is_finite()),
            number in -2e9..2e9,
            digits in 0..10_000_000_000_000_u64,
        ) {
            same_as_serde_json(any);
            same_as_serde_json(number);
            for decimals in 0..6 {
                same_as_serde_json(digits as f64 / 10_f64.powi(decimals));
            }
        }
    }
}
