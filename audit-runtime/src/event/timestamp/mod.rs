//! A moment in the form of PostgreSQL's `timestamptz`.

mod parse;
mod units;
#[cfg(feature = "chrono")]
mod with_chrono;

pub(crate) use units::POSTGRES_EPOCH;

use super::calendar;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use units::{DAY, EPOCH_DAYS, SECOND};

/// A moment, to the microsecond.
///
/// It covers every value of PostgreSQL's `timestamptz`, from 4713 BC to the year 294276, and the
/// two infinities.
///
/// It displays as PostgreSQL writes it into JSON, in UTC and with all six decimals:
/// `2026-11-28T06:06:42.000000+00:00`, `0044-03-15T12:00:00.000000+00:00 BC`, `infinity`.
/// PostgreSQL reads that text back as the same moment.
///
/// ```
/// use audit_runtime::Timestamp;
/// use std::time::{Duration, SystemTime};
///
/// let time: Timestamp = "2026-11-28T06:06:42+00:00".parse()?;
/// assert_eq!(time.to_string(), "2026-11-28T06:06:42.000000+00:00");
/// assert_eq!(time.unix_micros(), Some(1_795_846_002_000_000));
/// assert_eq!(Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(1)), Timestamp::from_unix_micros(1_000_000));
/// assert!(time < Timestamp::INFINITY);
/// # Ok::<(), audit_runtime::TimestampError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// Microseconds since 2000-01-01, as PostgreSQL counts them.
    i64,
);

/// Reports a text that is not a time, or a time outside the range of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The text has another form.
    #[error("invalid time {0:?}: expected RFC 3339, as in 2026-11-28T06:06:42Z, or infinity or -infinity")]
    Text(String),
    /// The time is outside the range of the wanted type.
    #[error("time {0} is out of range for the target type")]
    Range(Timestamp),
}

impl Timestamp {
    /// Later than every other moment.
    pub const INFINITY: Self = Self(i64::MAX);
    /// Earlier than every other moment.
    pub const NEG_INFINITY: Self = Self(i64::MIN);
    /// The first microsecond that PostgreSQL can store: 4714-11-24 BC (Julian day 0), UTC.
    pub const MIN: Self = Self(-211_813_488_000_000_000);
    /// The last microsecond that PostgreSQL can store: 294276-12-31T23:59:59.999999, UTC.
    pub const MAX: Self = Self(9_223_371_331_199_999_999);

    /// The first and the last microsecond of the years that have four digits: both sides write them
    /// alike.
    pub(crate) const YEAR_1: Self = Self(-63_082_281_600_000_000);
    pub(crate) const YEAR_9999: Self = Self(252_455_615_999_999_999);

    /// Returns the present moment by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Returns the moment this many microseconds after 1970-01-01T00:00:00Z.
    ///
    /// A moment before [`MIN`](Self::MIN) becomes `MIN`.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        let time = Self(micros.saturating_sub(POSTGRES_EPOCH));
        if time.0 < Self::MIN.0 { Self::MIN } else { time }
    }

    /// Returns the microseconds since 1970-01-01T00:00:00Z, if they fit 64 bits.
    ///
    /// It returns `None` for the infinities and for the last 30 years before [`MAX`](Self::MAX).
    #[must_use]
    pub const fn unix_micros(self) -> Option<i64> {
        if self.is_finite() { self.0.checked_add(POSTGRES_EPOCH) } else { None }
    }

    /// Returns whether it is neither of the infinities.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.0 != i64::MAX && self.0 != i64::MIN
    }

    /// Returns the moment that much later, at most [`MAX`](Self::MAX).
    ///
    /// The infinities are unchanged.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.moved(i128::try_from(duration.as_micros()).unwrap_or(i128::MAX))
    }

    /// Returns the moment that much earlier, at least [`MIN`](Self::MIN).
    ///
    /// The infinities are unchanged.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        self.moved(i128::try_from(duration.as_micros()).map_or(i128::MIN, |micros| -micros))
    }

    fn moved(self, micros: i128) -> Self {
        if !self.is_finite() {
            return self;
        }
        let moved = i128::from(self.0).saturating_add(micros).clamp(Self::MIN.0.into(), Self::MAX.0.into());
        i64::try_from(moved).map_or(self, Self)
    }

    /// Returns the time from `earlier` to this moment.
    ///
    /// It returns `None` if `earlier` is later, or one of the two is infinite.
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Option<Duration> {
        if !self.is_finite() || !earlier.is_finite() {
            return None;
        }
        let micros = i128::from(self.0) - i128::from(earlier.0);
        u64::try_from(micros).ok().map(Duration::from_micros)
    }

    #[cfg(feature = "postgres")]
    /// Reads PostgreSQL's own number: microseconds since 2000.
    pub(crate) const fn from_postgres(micros: i64) -> Self {
        Self(micros)
    }

    #[cfg(feature = "postgres")]
    /// Returns PostgreSQL's own number.
    pub(crate) const fn postgres(self) -> i64 {
        self.0
    }

    /// Returns whether RFC 3339 can express it: its year is between 1 and 9999.
    #[must_use]
    pub fn is_rfc_3339(self) -> bool {
        (Self::YEAR_1..=Self::YEAR_9999).contains(&self)
    }
}

impl Timestamp {
    #[cfg(feature = "evidence")]
    /// Returns the day in UTC, as it begins the whole text.
    pub(crate) fn date(self) -> String {
        let text = self.to_string();
        text.split('T').next().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => return f.pad("infinity"),
            Self::NEG_INFINITY => return f.pad("-infinity"),
            _ => {}
        }
        let (year, month, day) = calendar::date(self.0.div_euclid(DAY) + EPOCH_DAYS);
        let micros = self.0.rem_euclid(DAY);
        let (seconds, micros) = (micros / SECOND, micros % SECOND);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        // The year 0 does not exist: 1 BC is before 1 AD.
        let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
        f.pad(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00{era}"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        match text {
            "infinity" => return Ok(Self::INFINITY),
            "-infinity" => return Ok(Self::NEG_INFINITY),
            _ => {}
        }
        let micros = parse::read(text).ok_or_else(|| TimestampError::Text(text.to_owned()))?;
        i64::try_from(micros)
            .ok()
            .map(Self)
            .filter(|time| (Self::MIN..=Self::MAX).contains(time))
            .ok_or_else(|| TimestampError::Text(text.to_owned()))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self::from_unix_micros(micros(since)),
            // Down, as after 1970: a time belongs to the microsecond that it is in.
            Err(before) => {
                let before = before.duration();
                let is_within = !before.subsec_nanos().is_multiple_of(1_000);
                Self::from_unix_micros(-micros(before) - i64::from(is_within))
            }
        }
    }
}

impl TryFrom<Timestamp> for SystemTime {
    type Error = TimestampError;

    /// Converts a finite moment.
    ///
    /// # Errors
    /// The moment is infinite, or the system's clock cannot hold it.
    fn try_from(time: Timestamp) -> Result<Self, TimestampError> {
        let range = || TimestampError::Range(time);
        let micros = time.unix_micros().ok_or_else(range)?;
        let distance = Duration::from_micros(micros.unsigned_abs());
        let found = if micros < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        found.ok_or_else(range)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_time_is_displayed_as_postgresql_writes_it_into_json() {
        for (micros, text) in [
            (0, "2000-01-01T00:00:00.000000+00:00"),
            (-1, "1999-12-31T23:59:59.999999+00:00"),
            (Timestamp::MAX.0, "294276-12-31T23:59:59.999999+00:00"),
            (Timestamp::MIN.0, "4714-11-24T00:00:00.000000+00:00 BC"),
            (-63_082_281_600_000_000, "0001-01-01T00:00:00.000000+00:00 AD"),
            (-63_082_281_600_000_001, "0001-12-31T23:59:59.999999+00:00 BC"),
            (252_455_616_000_000_000, "10000-01-01T00:00:00.000000+00:00"),
            (i64::MAX, "infinity"),
            (i64::MIN, "-infinity"),
        ] {
            let text = text.trim_end_matches(" AD");
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(micros)), "{text}");
        }
    }

    #[test]
    fn texts_of_other_forms_are_read() {
        let expected: Timestamp = "2026-11-28T06:06:42.000000+00:00".parse().unwrap();
        for text in [
            "2026-11-28T06:06:42Z",
            "2026-11-28 06:06:42+00",
            "2026-11-28t08:06:42.0+02:00",
            "2026-11-28T00:36:42-0530",
            "+2026-11-28T06:06:42Z",
            "2026-11-28T06:06:42.0000009Z",
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!("-0043-03-15T12:00:00Z".parse::<Timestamp>(), "0044-03-15T12:00:00+00 BC".parse());
    }

    #[test]
    fn texts_of_no_known_form_are_refused_by_name() {
        for text in [
            "",
            "now",
            "2026-11-28",
            "2026-11-28T06:06:42",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-28T24:00:00Z",
            "2026-11-28T06:06:42+2",
            "2026-11-28T06:06:42+99:00",
            "2026-11-28T06:06:42.Z",
            "294277-01-01T00:00:00Z",
            "4715-01-01T00:00:00Z BC",
            "0000-01-01T00:00:00Z BC",
            "ä-11-28T06:06:42Z",
            "2026-11-28T06:06:42\u{e4}",
        ] {
            let error = text.parse::<Timestamp>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn arithmetic_stays_within_what_postgresql_holds() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.saturating_sub(Duration::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::INFINITY.saturating_sub(Duration::MAX), Timestamp::INFINITY);
        assert_eq!(Timestamp::from_unix_micros(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.unix_micros(), None);
        let whole = Timestamp::MAX.duration_since(Timestamp::MIN).unwrap();
        assert_eq!(Timestamp::MIN.saturating_add(whole), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.duration_since(Timestamp::MAX), None);
        assert_eq!(Timestamp::INFINITY.duration_since(Timestamp::MIN), None);
    }

    #[test]
    fn a_system_time_before_1970_belongs_to_the_microsecond_it_is_in() {
        let before = |nanos| Timestamp::from(UNIX_EPOCH - Duration::from_nanos(nanos)).unix_micros();
        assert_eq!([before(1), before(1_000), before(1_001)], [Some(-1), Some(-1), Some(-2)]);
        assert!(SystemTime::try_from(Timestamp::INFINITY).is_err());
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(micros in Timestamp::MIN.0..=Timestamp::MAX.0) {
            prop_assert_eq!(Timestamp(micros).to_string().parse(), Ok(Timestamp(micros)));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9TZ: .BCä]{0,40}") {
            let _ = text.parse::<Timestamp>();
        }

        #[test]
        fn a_system_time_comes_back(micros in -60_000_000_000_000_000_i64..200_000_000_000_000_000) {
            let time = Timestamp::from_unix_micros(micros);
            prop_assert_eq!(Timestamp::from(SystemTime::try_from(time).unwrap()), time);
        }
    }
}
