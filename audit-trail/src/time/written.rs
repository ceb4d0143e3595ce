//! Times in digits: `2026-05-04 03:02:01.5`, `20:15`, `9am`, `@1764311202`.

use super::{DAY, SECOND, Scene};
use audit_runtime::__private::calendar;
use jiff::civil::Date;
use std::ops::RangeInclusive;

const RANGE: &str = "it is further from 1970 than 292,000 years";

/// Reads a date with or without a clock time, or unix seconds, or returns `None` if the words begin
/// with something else.
pub(super) fn read(words: &[&str], bc: bool, offset: Option<i64>, scene: &Scene<'_>) -> Result<Option<i64>, String> {
    let [first, rest @ ..] = words else { return Ok(None) };
    if let Some(seconds) = first.strip_prefix('@') {
        let micros = if rest.is_empty() && offset.is_none() { unix(seconds) } else { None };
        return micros.map(Some).ok_or_else(|| "after @ belong the seconds since 1970, as in @1764311202".into());
    }
    if !first.is_empty() && rest.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{first} may be a year, a date or seconds: write 2026-05-04, @{first} or {first}s"));
    }
    let (first, joined) = match first.split_once(['t', '_']) {
        Some((date, clock)) if !clock.is_empty() && is_date(date) => (date, Some(clock)),
        _ => (*first, None),
    };
    if !is_date(first) {
        return Ok(None);
    }
    let (year, month, day) = date(first, bc)?;
    let rest: Vec<&str> = joined.into_iter().chain(rest.iter().copied().filter(|word| *word != "at")).collect();
    let clock = match *rest {
        [] => None,
        [word] => clock(word).transpose()?.map(Some).ok_or_else(|| unclear(word))?,
        [word, half @ ("am" | "pm")] => clock(&format!("{word}{half}")).transpose()?,
        [.., word] => return Err(unclear(word)),
    };
    if let Some(offset) = offset {
        let days = i128::from(calendar::days(year, month, day));
        let micros = days * i128::from(DAY) + i128::from(clock.unwrap_or(0)) - i128::from(offset * SECOND);
        return i64::try_from(micros).map(Some).map_err(|_| RANGE.into());
    }
    let parts = (i16::try_from(year), i8::try_from(month), i8::try_from(day));
    let date = if let (Ok(year), Ok(month), Ok(day)) = parts { Date::new(year, month, day).ok() } else { None };
    let date = date.ok_or("a year beyond 9999 needs an offset: add Z or +02:00")?;
    scene.moment(date, clock).map(Some)
}

fn unclear(word: &str) -> String {
    if (3..=5).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return format!("{word} may be one of several zones: write its offset, +01:00, or its name, Europe/Berlin");
    }
    format!("{word:?} is not a clock time such as 03:02")
}

/// Returns whether a word is three numbers with two separators, or tries to be.
fn is_date(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let separators = unsigned.bytes().filter(|byte| b"-/.".contains(byte)).count();
    let other = unsigned.bytes().any(|byte| !byte.is_ascii_digit() && !b"-/.".contains(&byte));
    unsigned.starts_with(|c: char| c.is_ascii_digit()) && separators > 0 && !other && !is_decimal(unsigned)
}

fn is_decimal(word: &str) -> bool {
    word.split_once('.').is_some_and(|(_, fraction)| !fraction.contains(['-', '/', '.']))
}

/// Reads `2026-05-04`, also with slashes or dots: the year comes first, and has four digits or
/// more.
fn date(word: &str, bc: bool) -> Result<(i64, i64, i64), String> {
    let negative = word.starts_with('-');
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let separator = unsigned.chars().find(|c| !c.is_ascii_digit()).unwrap_or('-');
    let parts: Vec<&str> = unsigned.split(separator).collect();
    let &[year, month, day] = &parts[..] else {
        return Err("a date has a year, a month and a day: 2026-05-04".into());
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4..=9), number(month, 1..=2), number(day, 1..=2)) else {
        return Err(format!("the order of day, month and year in {word} is unclear: write the year first, 2026-05-04"));
    };
    let year = match (bc, negative) {
        (true, true) => return Err("a year is negative or BC, and never both".into()),
        (true, false) if year == 0 => return Err("before the year 1 comes 1 BC".into()),
        // The year 0 before Christ does not exist: 1 BC is the year 0 of ISO 8601.
        (true, false) => 1 - year,
        (false, true) => -year,
        (false, false) => year,
    };
    if !(1..=12).contains(&month) {
        return Err(format!("month {month} does not exist"));
    }
    let length = calendar::month_length(year, month);
    if !(1..=length).contains(&day) {
        return Err(format!("that month ends with day {length}"));
    }
    Ok((year, month, day))
}

/// Reads a clock time as microseconds since midnight: `03:02`, `03:02:01.5`, `9am`, `24:00`.
/// Returns `None` for another word.
///
/// Digits after the sixth of a fraction are cut. A second 60 is the first of the next minute, as
/// PostgreSQL has it.
pub(super) fn clock(word: &str) -> Option<Result<i64, String>> {
    let (digits, half) = if let Some(digits) = word.strip_suffix("am") {
        (digits, Some(0))
    } else if let Some(digits) = word.strip_suffix("pm") {
        (digits, Some(12))
    } else {
        (word, None)
    };
    if !word.starts_with(|c: char| c.is_ascii_digit()) || (half.is_none() && !word.contains(':')) {
        return None;
    }
    Some(on_clock(digits, half).ok_or_else(|| format!("{word:?} is not on the clock, from 00:00:00 to 24:00:00")))
}

fn on_clock(digits: &str, half: Option<i64>) -> Option<i64> {
    let mut parts = digits.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next(), parts.next().unwrap_or("00"));
    let minute = if half.is_some() { minute.unwrap_or("00") } else { minute? };
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = second.split_once(['.', ',']).unwrap_or((second, "0"));
    let hour = number(hour, 1..=2)?;
    let hour = match half {
        Some(half) => (1..=12).contains(&hour).then_some(hour % 12 + half)?,
        None => hour,
    };
    let minute = number(minute, 2..=2).filter(|minute| *minute < 60)?;
    let second = number(second, 2..=2).filter(|second| *second <= 60)?;
    let micros = (hour * 3600 + minute * 60 + second) * SECOND + micros(fraction)?;
    (hour < 24 || micros == DAY).then_some(micros)
}

/// Reads unix seconds: `1764311202`, `-1.5`.
fn unix(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    number(seconds, 1..=18)?.checked_mul(SECOND)?.checked_add(micros(fraction)?).map(|micros| sign * micros)
}

/// Reads the digits after a decimal point as microseconds, and cuts further ones.
fn micros(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(digits.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')))
}

/// Reads so many digits as a number.
pub(super) fn number(text: &str, digits: RangeInclusive<usize>) -> Option<i64> {
    let number = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| text.parse().ok()).flatten()
}
