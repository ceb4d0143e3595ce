//! The catalogue of this service, stored once for each version of it.
//!
//! The first lane stores it on the connection that it has: after the first batch, or after ten idle
//! seconds where none came. Events never wait for a repetition.

use super::link::Link;
use super::parts::WriterParts;
use crate::postgres::failure::{Failure, describe};
use std::time::{Duration, Instant};

/// A process that recorded nothing connects for its catalogue after this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time until the next attempt after a failure that may pass.
const AGAIN: Duration = Duration::from_secs(60);
/// The same while the table is missing: somebody has to migrate the database.
const AFTER_MIGRATION: Duration = Duration::from_secs(60 * 60);
/// The longest wait of an attempt for the server.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The catalogue of this service, while it is not stored.
#[derive(Debug, Default)]
pub(super) struct CatalogueDue {
    /// It is stored, or there is nothing to store, or the role may not store it.
    is_settled: bool,
    /// No attempt is made before.
    not_before: Option<Instant>,
}

impl CatalogueDue {
    /// Returns whether an attempt is due for a lane that has been idle for so long. A shutdown makes
    /// no connection for it.
    pub(super) fn is_due(&self, is_connected: bool, is_stopping: bool, idle: Duration) -> bool {
        !self.is_settled
            && (is_connected || (idle > PATIENCE && !is_stopping))
            && self.not_before.is_none_or(|time| Instant::now() >= time)
    }

    /// Makes one attempt. A refusal is reported once, and every failure leaves the trail as it is.
    pub(super) async fn store(&mut self, parts: &WriterParts, link: &mut Link<'_>) {
        let Some(catalogue) = (parts.catalogue)() else {
            self.is_settled = true;
            return;
        };
        let stored = link.once(async |sink| sink.catalogue(&catalogue, parts.origin()).await);
        let error = match tokio::time::timeout(ATTEMPT, stored).await {
            Ok(Ok(Ok(()))) => {
                self.is_settled = true;
                return;
            }
            Ok(Ok(Err(error)) | Err(error)) => error,
            Err(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
        };
        let failure = Failure::of(&error);
        let wait = if failure == Failure::SchemaMissing { AFTER_MIGRATION } else { AGAIN };
        self.not_before = Some(Instant::now() + wait);
        match failure {
            Failure::SchemaMissing | Failure::Retry => {
                tracing::debug!("the catalogue of audited functions is not stored yet: {}", describe(&error));
            }
            _ => {
                self.is_settled = true;
                tracing::warn!(
                    "the catalogue of audited functions is not stored, events are: {}; audit-trail migrate --writer ROLE grants it",
                    describe(&error)
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_stores_it_on_its_connection_and_makes_one_only_after_a_while() {
        let (due, moment) = (CatalogueDue::default(), Duration::from_millis(1));
        assert!(due.is_due(true, true, moment) && due.is_due(false, false, PATIENCE + moment));
        assert!(!due.is_due(false, false, moment) && !due.is_due(false, true, PATIENCE + moment));
        let waiting = CatalogueDue { not_before: Some(Instant::now() + AGAIN), ..due };
        assert!(!waiting.is_due(true, false, moment));
        assert!(!CatalogueDue { is_settled: true, not_before: None }.is_due(true, false, moment));
    }
}
