//! Lengths of time, which always end now: `2h`, `1h30m`, `-2h`, `3 days ago`, `a week ago`,
//! `last 30 minutes`.

use super::Scene;
use jiff::fmt::friendly::SpanParser;
use jiff::{SignedDuration, Span};

/// Numbers as words, from one.
const NUMBERS: [&str; 12] =
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// Returns the moment a length of time ago, or `None` if the words are not a length.
///
/// Days, weeks, months and years go by the local calendar. A month ago is the same clock time of
/// the same day, or of the last day of a shorter month. Hours, minutes and seconds go by elapsed
/// time.
pub(super) fn read(words: &[&str], scene: &Scene<'_>) -> Result<Option<i64>, String> {
    let Some(span) = length(words)? else { return Ok(None) };
    let mut micros = scene.now;
    if calendar(&span) != Span::new().fieldwise() {
        let (today, clock) = scene.today()?;
        micros = scene.moment(before(today, &span)?, Some(clock))?;
    }
    let elapsed = span.years(0).months(0).weeks(0).days(0);
    let elapsed = SignedDuration::try_from(elapsed).map_err(|_| too_long())?.as_micros();
    i64::try_from(i128::from(micros) - elapsed).map(Some).map_err(|_| too_long())
}

/// Returns the date that lies the whole days, weeks, months and years of the words before today, or
/// `None` for other words.
pub(super) fn date(words: &[&str], scene: &Scene<'_>) -> Result<Option<jiff::civil::Date>, String> {
    match length(words)? {
        Some(span) if span.fieldwise() == calendar(&span) => Ok(Some(before(scene.today()?.0, &span)?)),
        _ => Ok(None),
    }
}

/// Returns whether a text counts with the unit `M`.
pub(super) fn is_capital_m(text: &str) -> bool {
    text.match_indices('M').any(|(at, _)| {
        text[..at].trim_end().ends_with(|c: char| c.is_ascii_digit())
            && !text[at + 1..].starts_with(|c: char| c.is_alphabetic())
    })
}

/// Reads a length of time, in either direction.
fn length(words: &[&str]) -> Result<Option<Span>, String> {
    let (words, ago) = match words {
        [words @ .., "ago"] => (words, true),
        words => (words, false),
    };
    let words = match words {
        ["last" | "past", number, rest @ ..]
            if !rest.is_empty() || number.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            &words[1..]
        }
        words => words,
    };
    let [first, rest @ ..] = words else { return Ok(None) };
    let number = match NUMBERS.iter().position(|number| number == first) {
        Some(at) => Some(at + 1),
        None => matches!(*first, "a" | "an").then_some(1),
    };
    let first = number.map_or_else(|| (*first).to_owned(), |number| number.to_string());
    let text = std::iter::once(first.as_str()).chain(rest.iter().copied()).collect::<Vec<_>>().join(" ");
    // jiff takes 14:30:00 for a length.
    let counts = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit()) && !text.contains(':');
    let Some(span) = counts.then(|| SpanParser::new().parse_span(&text).ok()).flatten() else { return Ok(None) };
    if text.starts_with('+') || (text.starts_with('-') && ago) {
        return Err("a length of time counts back from now, without a sign: 2h".into());
    }
    Ok(Some(span.abs()))
}

/// Returns the years, months, weeks and days of a length.
fn calendar(span: &Span) -> jiff::SpanFieldwise {
    let calendar = Span::new().try_years(span.get_years()).and_then(|new| new.try_months(span.get_months()));
    let calendar =
        calendar.and_then(|new| new.try_weeks(span.get_weeks())).and_then(|new| new.try_days(span.get_days()));
    calendar.unwrap_or_default().fieldwise()
}

fn before(date: jiff::civil::Date, span: &Span) -> Result<jiff::civil::Date, String> {
    date.checked_sub(calendar(span).0).map_err(|_| too_long())
}

fn too_long() -> String {
    "that is before the year 9999 BC".into()
}
