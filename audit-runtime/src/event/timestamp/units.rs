//! Units and epochs of times.

/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
pub(crate) const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;
/// Days from 1970-01-01 to 2000-01-01.
pub(super) const EPOCH_DAYS: i64 = POSTGRES_EPOCH / DAY;
