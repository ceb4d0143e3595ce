//! Times as people write them.

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeZone, Utc};
use interim::{Dialect, parse_date_string};

/// RFC 3339, a date, a date and a time of this place, `2h ago`, `yesterday`.
pub(crate) fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    parse_at(text, Local::now())
}

fn parse_at<Z: TimeZone>(text: &str, now: DateTime<Z>) -> Result<DateTime<Utc>, String>
where
    Z::Offset: Copy,
{
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let zone = now.timezone();
    let local = |time: NaiveDateTime| zone.from_local_datetime(&time).earliest().map(|time| time.to_utc());
    let with_time = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let written = with_time
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| date.and_then(|date| date.and_hms_opt(0, 0, 0)));
    if let Some(time) = written {
        return local(time).ok_or_else(|| format!("{text} does not exist here: clocks were set forward"));
    }
    let midnight = |days: u64| {
        let date = now.date_naive().checked_sub_days(chrono::Days::new(days))?;
        local(date.and_hms_opt(0, 0, 0)?)
    };
    let day = match text {
        "now" => Some(now.to_utc()),
        "today" => midnight(0),
        "yesterday" => midnight(1),
        _ => None,
    };
    if let Some(time) = day {
        return Ok(time);
    }
    // A bare number would be taken for a year.
    let spoken = text.contains(|c: char| !c.is_ascii_digit());
    let parsed = spoken.then(|| parse_date_string(text, now, Dialect::Uk).ok()).flatten();
    parsed.map(|time| time.to_utc()).ok_or_else(|| {
        format!(
            "{text:?} is no time; write 2026-05-04T03:02:01Z, 2026-05-04, '2026-05-04 03:02', '2h ago' or yesterday"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    #[test]
    fn people_write_times_in_many_ways() {
        let now = DateTime::parse_from_rfc3339("2026-05-04T15:30:00+02:00").unwrap();
        for (text, expected) in [
            ("2026-05-04T03:02:01.000123Z", "2026-05-04T03:02:01.000123Z"),
            ("2026-05-04T03:02:01+02:00", "2026-05-04T01:02:01Z"),
            ("2026-05-01", "2026-04-30T22:00:00Z"),
            ("2026-05-01 10:00", "2026-05-01T08:00:00Z"),
            ("2026-05-01 10:00:05.5", "2026-05-01T08:00:05.5Z"),
            ("now", "2026-05-04T13:30:00Z"),
            ("today", "2026-05-03T22:00:00Z"),
            ("yesterday", "2026-05-02T22:00:00Z"),
            ("2h ago", "2026-05-04T11:30:00Z"),
            ("90 minutes ago", "2026-05-04T12:00:00Z"),
            ("3 days ago", "2026-05-01T13:30:00Z"),
        ] {
            let expected: DateTime<Utc> = expected.parse().unwrap();
            assert_eq!(parse_at::<FixedOffset>(text, now), Ok(expected), "{text}");
        }
        for bad in ["", "2026-13-01", "the day before", "5"] {
            let error = parse_at::<FixedOffset>(bad, now);
            assert!(error.is_err(), "{bad}: {error:?}");
        }
    }
}
