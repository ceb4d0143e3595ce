//! Times as texts.

use super::units::{DAY, EPOCH_DAYS, SECOND};
use crate::event::calendar;

/// Reads RFC 3339, and returns microseconds since 2000. The year may have any number of digits, and
/// a blank may replace the `T`. A short offset and the era ` BC` are allowed. Digits behind the
/// sixth decimal are dropped.
pub(super) fn read(text: &str) -> Option<i128> {
    let (text, is_bc) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    // ISO 8601 signs years of more or less than four digits.
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => (1, text),
    };
    let (date, time) = unsigned.split_once(['T', 't', ' '])?;
    let mut parts = date.split('-');
    let mut number = |digits: std::ops::RangeInclusive<usize>| whole(parts.next()?, digits);
    let (year, month, day) = (number(4..=6)?, number(2..=2)?, number(2..=2)?);
    if parts.next().is_some() || (is_bc && (sign < 0 || year == 0)) {
        return None;
    }
    let year = if is_bc { 1 - year } else { sign * year };
    let offset_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = time.split_at(offset_at);
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut parts = clock.split(':');
    let mut number = || whole(parts.next()?, 2..=2);
    let (hour, minute, second) = (number()?, number()?, number()?);
    let micros = match fraction {
        None => 0,
        Some(fraction) if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) => return None,
        Some(fraction) => format!("{fraction:0<6}")[..6].parse::<i64>().ok()?,
    };
    let is_date = (1..=12).contains(&month) && (1..=calendar::month_length(year, month)).contains(&day);
    // A second of 60 is a leap second.
    if parts.next().is_some() || !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second - offset_seconds(offset)?;
    let days = i128::from(calendar::days(year, month, day) - EPOCH_DAYS);
    Some(days * i128::from(DAY) + i128::from(seconds) * i128::from(SECOND) + i128::from(micros))
}

/// Reads so many digits and nothing else.
fn whole(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_number = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Reads `Z`, `+02`, `+0200`, `+02:00` or, as PostgreSQL writes it for old dates, `+01:02:03`.
fn offset_seconds(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?.replace(':', "");
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut parts = digits.as_bytes().chunks(2).map(|part| whole(std::str::from_utf8(part).ok()?, 2..=2));
    let (hours, minutes, seconds) =
        (parts.next()??, parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?);
    let is_offset = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 60;
    is_offset.then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}
