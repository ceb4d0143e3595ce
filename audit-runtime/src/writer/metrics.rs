//! What the writer tells the `metrics` facade: see [`Stats`](crate::Stats). It is told from the writer's thread; callers pay nothing.

use crate::core::Core;
use std::time::Duration;

/// How often counts and sizes are told.
#[cfg(feature = "metrics")]
const EVERY: Duration = Duration::from_secs(1);

/// Tells the state of a trail.
pub(super) struct Told<'a> {
    core: &'a Core,
}

impl<'a> Told<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        Self { core }
    }
}

#[cfg(feature = "metrics")]
fn service(core: &Core) -> String {
    core.origin().split('@').next().unwrap_or_default().to_owned()
}

#[cfg(feature = "metrics")]
impl Told<'_> {
    /// Tells it once a second, for ever.
    pub(super) async fn each_second(&self) {
        loop {
            self.now();
            tokio::time::sleep(EVERY).await;
        }
    }

    pub(super) fn now(&self) {
        let (stats, service) = (self.core.stats(), service(self.core));
        for (name, value) in [
            ("audit_events_recorded_total", stats.recorded),
            ("audit_events_stored_total", stats.stored),
            ("audit_events_refused_total", stats.refused),
            ("audit_events_quarantined_total", stats.quarantined),
            ("audit_events_adopted_total", stats.adopted),
            ("audit_events_in_transactions_total", stats.in_transactions),
            ("audit_batch_retries_total", stats.retries),
        ] {
            metrics::counter!(name, "service" => service.clone()).absolute(value);
        }
        for (name, value) in [
            ("audit_events_pending", stats.pending as f64),
            ("audit_journal_bytes", stats.journal_bytes as f64),
            ("audit_lag_seconds", stats.lag.as_secs_f64()),
        ] {
            metrics::gauge!(name, "service" => service.clone()).set(value);
        }
    }
}

#[cfg(not(feature = "metrics"))]
impl Told<'_> {
    pub(super) async fn each_second(&self) {
        std::future::pending().await
    }

    pub(super) fn now(&self) {
        let _ = self.core;
    }
}

/// A batch was stored.
#[cfg(feature = "metrics")]
pub(super) fn batch(core: &Core, rows: usize, took: Duration) {
    metrics::histogram!("audit_batch_rows", "service" => service(core)).record(rows as f64);
    metrics::histogram!("audit_commit_seconds", "service" => service(core)).record(took.as_secs_f64());
}

#[cfg(not(feature = "metrics"))]
pub(super) fn batch(_: &Core, _: usize, _: Duration) {}
