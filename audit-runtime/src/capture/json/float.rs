//! Floating-point numbers.

use super::ReservedBuf;

/// The most bytes that a number takes.
pub(crate) const FLOAT: usize = 32;

/// A number that equals `scaled` divided by this may be written with its four decimals, without a
/// search for its shortest form. Amounts and prices are such numbers.
const SCALE: f64 = 10_000.0;
/// Below this, a number of four decimals has at most thirteen digits.
const LIMIT: f64 = 1e9;

/// Puts a number in its shortest form, as `serde_json` writes it.
#[inline]
pub(crate) fn float(number: f64, room: &mut ReservedBuf<'_>) {
    match scaled(number.abs()) {
        Some(scaled) => {
            if number < 0.0 {
                room.put(b"-");
            }
            decimal(scaled, room);
        }
        None if number.is_finite() => room.put(zmij::Buffer::new().format_finite(number).as_bytes()),
        None => room.put(b"null"),
    }
}

/// The integer that a number of at most four decimals is, divided by 10^4.
///
/// Division is rounded correctly (IEEE 754), and so is what a reader makes of the decimals. No
/// other text of at most fifteen digits stands for the same number: none is shorter.
#[inline]
fn scaled(magnitude: f64) -> Option<u64> {
    if !(magnitude > 0.0 && magnitude < LIMIT) {
        return None;
    }
    // Rounded: if there is such an integer, it is this one. (Processors know conversions to and
    // from signed integers only.)
    let scaled = (magnitude * SCALE + 0.5) as i64;
    (scaled as f64 / SCALE == magnitude).then_some(scaled.cast_unsigned())
}

/// Puts an integer divided by 10^4.
#[inline]
fn decimal(scaled: u64, room: &mut ReservedBuf<'_>) {
    const WHOLE: u64 = 10_000;
    let is_below_one = scaled < WHOLE;
    let mut buffer = itoa::Buffer::new();
    // All four decimals are to be there.
    let digits = buffer.format(if is_below_one { scaled + WHOLE } else { scaled }).as_bytes();
    let Some((whole, decimals)) = digits.split_last_chunk::<4>() else {
        return;
    };
    room.put(if is_below_one { b"0" } else { whole });
    room.put(b".");
    let zeros = (u32::from_be_bytes(*decimals) ^ u32::from_be_bytes([b'0'; 4])).trailing_zeros() as usize / 8;
    // One decimal at the least.
    room.put_padded(decimals, 4 - zeros.min(3));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same_as_serde_json(number: f64) {
        let mut out = Vec::new();
        float(number, &mut ReservedBuf::new(&mut out, FLOAT));
        assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&number).unwrap());
    }

    #[test]
    fn numbers_are_written_as_serde_json_writes_them() {
        for number in
            [0.0_f64, -0.0, 1.0, 0.1, 187.25, 0.0001, 0.00005, 1e-5, 1e9, 999_999_999.999_9, 0.1 + 0.2, 1.0 / 3.0]
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
