//! Times in words: `now`, `yesterday`, `monday 09:00`, `last week`, `this month`, `14:30`.

use super::written::clock;
use super::{DAY, Scene, span};
use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};

/// Reads a day with or without a clock time, in either order, or the beginning of a week, month,
/// year or hour.
pub(super) fn read(words: &[&str], scene: &Scene<'_>) -> Result<Option<i64>, String> {
    match words {
        ["now"] => return Ok(Some(scene.now)),
        ["this", "hour"] => {
            let (today, clock) = scene.today()?;
            return scene.moment(today, Some(clock - clock % (DAY / 24))).map(Some);
        }
        // The past 60 minutes, or the hour before this one?
        [which @ ("last" | "past"), unit @ ("hour" | "minute" | "second" | "day" | "night")] => {
            return Err(format!("'{which} {unit}' may mean several times: write 1h, 1d, 'this hour' or yesterday"));
        }
        _ => {}
    }
    let Some((words, clock)) = take_clock(words)? else { return Ok(None) };
    let (today, _) = scene.today()?;
    let date = match day(&words, today)? {
        Some(date) => date,
        None if words.is_empty() && clock != Clock::None => today,
        // With a clock time: '2 days ago at 14:30'. Without one it is a length of time.
        None if clock != Clock::None => match span::date(&words, scene)? {
            Some(date) => date,
            None => return Ok(None),
        },
        None => return Ok(None),
    };
    let clock = if let Clock::At(micros) = clock { Some(micros) } else { None };
    scene.moment(date, clock).map(Some)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    None,
    /// `midnight`: the beginning of the day, whatever the clock shows then.
    Midnight,
    At(i64),
}

/// Takes the clock time and the filler words from the words, and returns `None` if there are two
/// clock times.
fn take_clock<'w>(words: &[&'w str]) -> Result<Option<(Vec<&'w str>, Clock)>, String> {
    let (mut rest, mut clocks) = (Vec::new(), Vec::new());
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        let half = words.next_if(|next| matches!(*next, "am" | "pm")).unwrap_or_default();
        match word {
            "at" | "on" if half.is_empty() => {}
            "midnight" if half.is_empty() => clocks.push(Clock::Midnight),
            "noon" if half.is_empty() => clocks.push(Clock::At(DAY / 2)),
            _ => match clock(&format!("{word}{half}")) {
                Some(clock) => clocks.push(Clock::At(clock?)),
                None if half.is_empty() => rest.push(word),
                None => return Ok(None),
            },
        }
    }
    Ok(match clocks[..] {
        [] => Some((rest, Clock::None)),
        [clock] => Some((rest, clock)),
        _ => None,
    })
}

/// Returns the day that the words name, seen from today.
fn day(words: &[&str], today: Date) -> Result<Option<Date>, String> {
    let later = |span: Span| today.checked_add(span).map(Some).map_err(|_| "that is beyond the year 9999".to_owned());
    match *words {
        ["today"] => later(0.days()),
        ["yesterday"] => later((-1).days()),
        ["tomorrow"] => later(1.day()),
        ["last", name] if let Some(weekday) = weekday(name) => later(-days_since(weekday, today, 1).days()),
        ["next", name] if let Some(weekday) = weekday(name) => later((7 - days_since(weekday, today, 0)).days()),
        [which, unit] => {
            let steps: i64 = match which {
                "last" => -1,
                "this" => 0,
                "next" => 1,
                _ => return Ok(None),
            };
            let monday = days_since(Weekday::Monday, today, 0);
            let (back, steps) = match unit {
                "week" => (monday, steps.weeks()),
                "month" => (i64::from(today.day()) - 1, steps.months()),
                "year" => (i64::from(today.day_of_year()) - 1, steps.years()),
                _ => return Ok(None),
            };
            let first = today.checked_sub(back.days()).and_then(|first| first.checked_add(steps));
            first.map(Some).map_err(|_| "that is beyond the year 9999".into())
        }
        [name] => match weekday(name) {
            Some(weekday) => later(-days_since(weekday, today, 0).days()),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Returns the days since the last such weekday, `least` or more ago.
fn days_since(weekday: Weekday, today: Date, least: i64) -> i64 {
    let days = i64::from(weekday.until(today.weekday()));
    if days < least { days + 7 } else { days }
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "mon" | "monday" => Weekday::Monday,
        "tue" | "tues" | "tuesday" => Weekday::Tuesday,
        "wed" | "wednesday" => Weekday::Wednesday,
        "thu" | "thur" | "thurs" | "thursday" => Weekday::Thursday,
        "fri" | "friday" => Weekday::Friday,
        "sat" | "saturday" => Weekday::Saturday,
        "sun" | "sunday" => Weekday::Sunday,
        _ => return None,
    })
}
