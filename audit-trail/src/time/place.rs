//! The place at the end of a time: `Z`, `UTC`, `+02:00`, `Europe/Berlin`, `[Europe/Berlin]`.

use super::Zone;
use super::written::number;

/// An offset in seconds, a zone, both, or neither.
#[derive(Default)]
pub(super) struct Place {
    offset: Option<(i64, Zone)>,
    zone: Option<Zone>,
}

impl Place {
    /// Takes the place from the end of the words, whether a blank precedes it or not.
    pub(super) fn take(words: &mut Vec<&str>) -> Result<Self, String> {
        let mut place = Self::default();
        let Some(last) = words.pop() else { return Ok(place) };
        let (last, name) = match last.strip_suffix(']').and_then(|last| last.split_once('[')) {
            Some((last, name)) => (last, Some(name)),
            None if last.contains('/') && last.starts_with(|c: char| c.is_ascii_alphabetic()) => ("", Some(last)),
            None => (last, None),
        };
        if let Some(name) = name {
            let unknown =
                || format!("the time zone {name:?} is unknown: its name is like Europe/Berlin, an offset like +02:00");
            place.zone = Some(Zone::known(name).ok_or_else(unknown)?);
        }
        words.extend((!last.is_empty()).then_some(last));
        let Some(last) = words.pop() else { return Ok(place) };
        let (rest, offset) = split(last);
        if words.is_empty() && rest.is_empty() {
            // A place alone: -02 may be anything.
            words.push(last);
            return Ok(place);
        }
        if let Some(seconds) = offset {
            let zone = Zone::fixed(seconds).ok_or("an offset from UTC is less than a day")?;
            place.offset = Some((seconds, if seconds == 0 { Zone::utc() } else { zone }));
        }
        words.extend((!rest.is_empty()).then_some(rest));
        Ok(place)
    }

    /// Returns the place to read local time in: the one written, else `here`.
    pub(super) fn zone<'z>(&'z self, here: &'z Zone) -> &'z Zone {
        self.offset.as_ref().map(|(_, zone)| zone).or(self.zone.as_ref()).unwrap_or(here)
    }

    /// Returns the offset from UTC that is written, in seconds.
    pub(super) fn offset(&self) -> Option<i64> {
        self.offset.as_ref().map(|(seconds, _)| *seconds)
    }

    /// Checks that offset and zone go together, where both are written.
    pub(super) fn agrees(&self, micros: i64) -> Result<(), String> {
        let (Some((seconds, _)), Some(zone)) = (&self.offset, &self.zone) else { return Ok(()) };
        if zone.offset(micros).is_none_or(|there| there == *seconds) {
            return Ok(());
        }
        Err(format!("in {} that is {}, leave one of the two out", zone.name(), zone.show(micros)))
    }
}

/// Splits a word into what precedes the offset, and the offset in seconds.
fn split(word: &str) -> (&str, Option<i64>) {
    if matches!(word, "z" | "utc" | "gmt") {
        return ("", Some(0));
    }
    if let Some(rest) = word.strip_suffix('z').filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit())) {
        return (rest, Some(0));
    }
    if let Some(seconds) = seconds(word) {
        return ("", Some(seconds));
    }
    // After the clock time: a sign before it belongs to the date.
    let sign = word.find(':').and_then(|clock| word[clock..].find(['+', '-']).map(|at| clock + at));
    let offset = sign.and_then(|at| Some((&word[..at], Some(seconds(&word[at..])?))));
    offset.unwrap_or((word, None))
}

/// Reads `+02`, `+0200`, `+02:00`, `+5:30`, `+00:53:28`.
fn seconds(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let mut parts = digits.split(':');
    let first = parts.next()?;
    let (hours, minutes, seconds) = match (first.len(), parts.next(), parts.next(), parts.next()) {
        (1 | 2, minutes, seconds, None) => (first, minutes, seconds),
        (4, None, None, None) => (first.get(..2)?, first.get(2..), None),
        _ => return None,
    };
    let sixty = |part: Option<&str>| part.map_or(Some(0), |part| number(part, 2..=2).filter(|part| *part < 60));
    let hours = number(hours, 1..=2).filter(|hours| *hours <= 25)?;
    Some(sign * (hours * 3600 + sixty(minutes)? * 60 + sixty(seconds)?))
}
