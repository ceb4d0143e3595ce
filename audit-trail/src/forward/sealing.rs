//! The sealing of rows that came without a batch.

use super::ended::ForwardError;
use audit_runtime::admin::Admin;
use sqlx::postgres::PgPool;
use std::time::Duration;
use tokio::time::Instant;

/// Rows without a batch are sealed no more often than this.
const SEALED_EVERY: Duration = Duration::from_secs(5);
/// Rows of any age are looked for no more often than this, and rows of the last day between.
const ALL_SEALED_EVERY: Duration = Duration::from_hours(1);
/// Of the time, sealing takes at most this part.
const SEALING_PART: u32 = 20;

/// Seals rows that came without a batch, so that they arrive, if the role may.
pub(super) struct Sealing {
    may: bool,
    all: Instant,
    next: Instant,
}

impl Sealing {
    pub(super) async fn new(pool: &PgPool) -> Result<Self, ForwardError> {
        let may = Admin::new(pool.clone()).may_seal().await?;
        let now = Instant::now();
        Ok(Self { may, all: now, next: now })
    }

    pub(super) async fn seal(&mut self, pool: &PgPool) -> Result<(), ForwardError> {
        let begin = Instant::now();
        if !self.may || begin < self.next {
            return Ok(());
        }
        let is_all = begin >= self.all;
        Admin::new(pool.clone()).seal_rows(is_all).await?;
        if is_all {
            self.all = begin + ALL_SEALED_EVERY.max(begin.elapsed() * SEALING_PART);
        }
        self.next = Instant::now() + (begin.elapsed() * SEALING_PART).max(SEALED_EVERY);
        Ok(())
    }
}
