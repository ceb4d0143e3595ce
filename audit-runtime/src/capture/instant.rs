//! Texts that name an instant: RFC 3339.

use crate::event::Timestamp;

/// An instant to the nanosecond, as texts name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant {
    micros: Timestamp,
    nanos: u32,
    /// Second 60, which has no place of its own on the scale.
    is_leap: bool,
}

/// Reads a text of RFC 3339, or `None` for any other.
pub(super) fn instant(text: &str) -> Option<Instant> {
    let bytes = text.as_bytes();
    let (offset, sign) = (bytes.len().checked_sub(6)?, bytes.len().checked_sub(3)?);
    let has_offset =
        matches!(bytes.last()?, b'Z' | b'z') || (matches!(bytes[offset], b'+' | b'-') && bytes[sign] == b':');
    if bytes.len() < 20 || !bytes[..4].iter().all(u8::is_ascii_digit) || !has_offset {
        return None;
    }
    let micros = text.parse().ok()?;
    let fraction = bytes[19..].strip_prefix(b".").unwrap_or_default();
    let finer = fraction.iter().take_while(|digit| digit.is_ascii_digit()).skip(6).take(3);
    let nanos = finer.zip([100, 10, 1]).map(|(digit, place)| u32::from(digit - b'0') * place).sum();
    Some(Instant { micros, nanos, is_leap: &bytes[17..19] == b"60" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = String> {
        (
            0..=9999,
            1..=12,
            1..=31,
            0..=24,
            0..=60,
            0..=61,
            "(\\.[0-9]{1,11})?",
            "[Zz]|[-+]0[0-3]:[03]0|[-+]0100|\\+02| BC",
        )
            .prop_map(|(year, month, day, hour, minute, second, fraction, offset)| {
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}")
            })
    }

    proptest! {
        #[test]
        fn texts_are_the_same_instant_as_for_chrono(before in text(), after in text(), zone in -1400_i32..1400) {
            let chrono = |text: &str| DateTime::parse_from_rfc3339(text).ok();
            prop_assert_eq!(instant(&before).is_some(), chrono(&before).is_some(), "{}", before);
            if let (Some(left), Some(right)) = (chrono(&before), chrono(&after)) {
                prop_assert_eq!(instant(&before) == instant(&after), left == right, "{} {}", before, after);
            }
            if let Some(time) = chrono(&before) {
                let zone = chrono::FixedOffset::east_opt(zone * 60).expect("less than a day");
                let other = time.with_timezone(&zone).to_rfc3339();
                if chrono(&other).is_some() {
                    prop_assert_eq!(instant(&before), instant(&other), "{} {}", before, other);
                }
            }
        }

        #[test]
        fn no_text_panics(text in "[-+0-9TZ:. \u{e4}]{0,40}") {
            let _ = instant(&text);
        }
    }
}
