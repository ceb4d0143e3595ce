//! Times as people write them, and as the command prints them.
//!
//! A time is read in three steps. First comes the place at its end (an offset or a zone). Then come
//! a date and a clock time, a length of time, or words. Everything without a place is local time in
//! the command's [`Zone`].

mod place;
mod span;
mod words;
mod written;
mod zone;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use audit_runtime::Timestamp;
use jiff::civil::Date;
use place::Place;
pub(crate) use zone::Zone;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How far ahead of this machine's clock a written `--since` may be.
///
/// A script goes on from the last time it has seen, and the clock of the server that wrote it
/// differs by some seconds.
const SKEW: i64 = 300 * SECOND;

const FORMS: &str = "write 2026-05-04T03:02:01Z, '2026-05-04 03:02', 2h or yesterday";

/// The side of an interval that a time is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// `--since`: of a local time that comes twice, the earlier one. The future is refused.
    Since,
    /// `--until`: of a local time that comes twice, the later one.
    Until,
}

/// A time that was understood. They compare in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// `-infinity`
    NegativeInfinity,
    /// Microseconds since 1970-01-01T00:00:00Z.
    At(i64),
    /// One of the last 30 years that PostgreSQL holds, which are more than 64 bits of microseconds
    /// from 1970.
    Last(Timestamp),
    /// `infinity`
    Infinity,
}

/// Parses a time that a person writes, seen at `now` (microseconds since 1970-01-01T00:00:00Z) in
/// `zone`.
///
/// A date without a clock time is the first moment of that day. A local time that the clocks skip
/// becomes the moment they were set forward.
pub(crate) fn parse(text: &str, now: i64, zone: &Zone, bound: Bound) -> Result<Moment, String> {
    let invalid = |why: String| format!("invalid time {text:?}: {why}; {FORMS}");
    let lower = text.to_lowercase();
    let mut words: Vec<&str> = lower.split_whitespace().collect();
    match words[..] {
        [] => return Err(invalid("it is empty".into())),
        ["-infinity"] => return Ok(Moment::NegativeInfinity),
        ["infinity" | "+infinity"] => return Ok(Moment::Infinity),
        _ => {}
    }
    let exact = text.trim().parse::<Timestamp>().ok().filter(|time| time.unix_micros().is_none());
    if let (Some(time), Bound::Until) = (exact, bound) {
        return Ok(Moment::Last(time));
    }
    let before_christ = words.pop_if(|word| matches!(*word, "bc" | "ad")) == Some("bc");
    let place = Place::take(&mut words).map_err(invalid)?;
    let scene = Scene { now, zone: place.zone(zone), bound };
    let written = written::read(&words, before_christ, place.offset(), &scene).map_err(invalid)?;
    let (micros, ahead) = match written {
        Some(micros) => (micros, SKEW),
        None if before_christ => return Err(invalid("only a date can be BC".into())),
        None => (relative(text, &words, &scene).map_err(invalid)?, 0),
    };
    place.agrees(micros).map_err(invalid)?;
    if bound == Bound::Since && micros > now.saturating_add(ahead) {
        let (shown, now) = (scene.zone.show(micros), scene.zone.show(now));
        return Err(format!(
            "the start {text:?} is in the future: it means {shown}, and now it is {now}; write a time that has passed, \
             such as 2h (two hours ago), 'yesterday 14:30' or 'last monday'"
        ));
    }
    Ok(Moment::At(micros))
}

/// Reads what depends on the present: a length of time, or words.
fn relative(text: &str, words: &[&str], scene: &Scene<'_>) -> Result<i64, String> {
    // For systemd M is months and m is minutes. Here case does not matter.
    if span::is_capital_m(text) {
        return Err("M may be minutes or months: write m or mo".into());
    }
    if let Some(micros) = span::read(words, scene)? {
        return Ok(micros);
    }
    if let Some(micros) = words::read(words, scene)? {
        return Ok(micros);
    }
    Err("it is neither a date, a clock time nor a length of time".into())
}

/// The present, and the place and side that a time is read for.
struct Scene<'z> {
    now: i64,
    zone: &'z Zone,
    bound: Bound,
}

impl Scene<'_> {
    /// Returns the present date and the microseconds since its midnight, both local.
    fn today(&self) -> Result<(Date, i64), String> {
        let now = self.zone.local(self.now).ok_or("the clock of this machine is beyond the year 9999: set it")?;
        let time = now.time();
        let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        Ok((now.date(), seconds * SECOND + i64::from(time.subsec_nanosecond()) / 1000))
    }

    /// Returns the moment of a local date: its first one, or the one of a clock time (microseconds,
    /// up to 24:00:00).
    fn moment(&self, date: Date, clock: Option<i64>) -> Result<i64, String> {
        // Days must join without overlap: the first moment of a day is one for both bounds.
        let later = self.bound == Bound::Until && clock.is_some();
        self.zone.resolve(date, clock.unwrap_or(0), later).ok_or_else(|| {
            "without an offset only the years 9999 BC to 9999 can be understood: add Z or an offset".to_owned()
        })
    }
}
