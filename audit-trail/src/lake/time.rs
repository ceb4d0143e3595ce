//! Times in a lake: a column of microseconds, and beside it a text for those that it cannot hold.

use super::read::Chunk;
use super::write::Value;
use audit_runtime::__private::{calendar, detached};
use audit_runtime::Timestamp;

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// A time in the two columns.
#[derive(Debug)]
pub(super) struct Split {
    micros: Option<i64>,
    text: Option<String>,
}

impl Split {
    pub(super) fn new(time: Option<Timestamp>) -> Self {
        let micros = time.filter(|time| time.is_rfc_3339()).and_then(Timestamp::unix_micros);
        let text = time.filter(|_| micros.is_none()).map(|time| time.to_string());
        Self { micros, text }
    }

    pub(super) fn values(&self) -> [Value<'_>; 2] {
        [Value::maybe_int(self.micros), Value::maybe_text(self.text.as_deref())]
    }
}

/// Reads the time in two columns, the second of which is behind the first. `Err` if a text is no time.
pub(super) fn joined(chunk: &Chunk, column: usize, row: usize) -> Result<Option<Timestamp>, ()> {
    match (chunk.int(column, row), chunk.bytes(column + 1, row)) {
        (Some(micros), _) => Ok(Some(Timestamp::from_unix_micros(micros))),
        (None, Some(text)) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).map(Some).ok_or(()),
        (None, None) => Ok(None),
    }
}

/// Returns the field of a time in binary COPY.
pub(super) fn field(time: Timestamp) -> [u8; 8] {
    detached::postgres_micros(time).to_be_bytes()
}

/// Reads a field of binary COPY.
pub(super) fn of_field(field: &[u8]) -> Option<Timestamp> {
    field.try_into().ok().map(i64::from_be_bytes).map(detached::of_postgres_micros)
}

/// Writes a time as `row_to_json` does, in UTC.
pub(super) fn as_json(time: Timestamp) -> String {
    let text = time.to_string();
    let Some((whole, rest)) = text.split_once('.') else { return text };
    let (micros, zone) = rest.split_at(6.min(rest.len()));
    match micros.trim_end_matches('0') {
        "" => format!("{whole}{zone}"),
        micros => format!("{whole}.{micros}{zone}"),
    }
}

/// The day of an event in UTC: the folder of its file. Times without a year of four digits have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    year: i64,
    month: i64,
    day: i64,
}

impl Day {
    pub(super) fn of(time: Timestamp) -> Self {
        let micros = Some(time).filter(|time| time.is_rfc_3339()).and_then(Timestamp::unix_micros);
        micros.map_or(Self { year: 0, month: 0, day: 0 }, |micros| {
            let (year, month, day) = calendar::date(micros.div_euclid(DAY));
            Self { year, month, day }
        })
    }

    pub(super) fn folder(self) -> String {
        // Without zeros in front: engines take such numbers for texts.
        format!("events/year={}/month={}/day={}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_that_of_utc_and_odd_times_have_none() {
        for (text, folder) in [
            ("2026-11-03T23:59:59.999999Z", "events/year=2026/month=11/day=3"),
            ("2026-11-04T00:00:00+01:00", "events/year=2026/month=11/day=3"),
            ("0001-01-01T00:00:00Z", "events/year=1/month=1/day=1"),
            ("infinity", "events/year=0/month=0/day=0"),
            ("-infinity", "events/year=0/month=0/day=0"),
            ("294276-12-31T23:59:59.999999+00:00", "events/year=0/month=0/day=0"),
            ("0044-03-15T12:00:00+00:00 BC", "events/year=0/month=0/day=0"),
        ] {
            assert_eq!(Day::of(time(text)).folder(), folder, "{text}");
        }
    }

    #[test]
    fn json_has_times_as_postgresql_writes_them() {
        for (text, json) in [
            ("2026-11-03T01:02:03.100000Z", "2026-11-03T01:02:03.1+00:00"),
            ("2026-11-03T01:02:03Z", "2026-11-03T01:02:03+00:00"),
            ("infinity", "infinity"),
            ("0044-03-15T12:00:00.000001+00:00 BC", "0044-03-15T12:00:00.000001+00:00 BC"),
        ] {
            assert_eq!(as_json(time(text)), json);
            assert_eq!(time(json), time(text));
        }
    }
}
