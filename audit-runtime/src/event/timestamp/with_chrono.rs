//! Conversions from and to the types of `chrono` 0.4.

use super::{Timestamp, TimestampError};
use chrono::{DateTime, TimeZone, Utc};
use std::cmp::Ordering;

impl<Z: TimeZone> From<DateTime<Z>> for Timestamp {
    fn from(time: DateTime<Z>) -> Self {
        Self::from_unix_micros(time.timestamp_micros())
    }
}

impl<Z: TimeZone> PartialEq<DateTime<Z>> for Timestamp {
    fn eq(&self, other: &DateTime<Z>) -> bool {
        *self == Self::from_unix_micros(other.timestamp_micros())
    }
}

impl<Z: TimeZone> PartialOrd<DateTime<Z>> for Timestamp {
    fn partial_cmp(&self, other: &DateTime<Z>) -> Option<Ordering> {
        Some(self.cmp(&Self::from_unix_micros(other.timestamp_micros())))
    }
}

impl TryFrom<Timestamp> for DateTime<Utc> {
    type Error = TimestampError;

    /// Converts a finite moment.
    ///
    /// # Errors
    /// The moment is infinite, or beyond the years that `chrono` holds (about 262,000 either way).
    fn try_from(time: Timestamp) -> Result<Self, TimestampError> {
        time.unix_micros().and_then(DateTime::from_timestamp_micros).ok_or(TimestampError::Range(time))
    }
}
