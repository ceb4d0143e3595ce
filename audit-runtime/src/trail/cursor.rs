//! Where a page ends and the next one begins.

use crate::event::Timestamp;
use crate::event::timestamp::POSTGRES_EPOCH;
use crate::record::TrailEvent;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The place where a page ends and the next one begins.
///
/// Its text can be kept and read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub(super) created_at: Timestamp,
    pub(super) id: Uuid,
}

/// The error of a text that is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid cursor {0:?}: expected one as a page or `audit-trail events` printed it")]
pub struct CursorError(String);

impl Cursor {
    pub(super) const fn at(created_at: Timestamp, id: Uuid) -> Self {
        Self { created_at, id }
    }

    /// Returns the cursor behind this event or, newest first, before it.
    #[must_use]
    pub fn of(event: &TrailEvent) -> Self {
        Self { created_at: event.created_at, id: event.id }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.created_at {
            time if time.is_finite() => write!(f, "{}", i128::from(time.postgres()) + i128::from(POSTGRES_EPOCH))?,
            infinite => write!(f, "{infinite}")?,
        }
        write!(f, ".{}", self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let read = || {
            let (time, id) = text.rsplit_once('.')?;
            let created_at = match time {
                "infinity" => Timestamp::INFINITY,
                "-infinity" => Timestamp::NEG_INFINITY,
                micros => Timestamp::from_postgres(
                    i64::try_from(micros.parse::<i128>().ok()? - i128::from(POSTGRES_EPOCH)).ok()?,
                ),
            };
            Some(Self { created_at, id: Uuid::try_parse(id).ok()? })
        };
        read().ok_or_else(|| CursorError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor { created_at: Timestamp::from_unix_micros(-1_764_000_000_123_456), id: Uuid::max() };
        assert_eq!(cursor.to_string(), format!("-1764000000123456.{}", Uuid::max().simple()));
        for created_at in
            [cursor.created_at, Timestamp::MIN, Timestamp::MAX, Timestamp::INFINITY, Timestamp::NEG_INFINITY]
        {
            let cursor = Cursor { created_at, ..cursor };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for bad in ["", "1", "1.2", ".00000000000000000000000000000000", "x.00000000000000000000000000000000"] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError(bad.into())));
        }
    }
}
