//! Reports to the `metrics` facade: see [`Stats`](crate::Stats). The writer's thread makes them,
//! and callers pay nothing.

use super::parts::WriterParts;
use std::time::Duration;

/// The interval at which counts and sizes are reported.
#[cfg(feature = "metrics")]
const EVERY: Duration = Duration::from_secs(1);

/// Reports the state of a trail.
pub(super) struct MetricsReporter<'a> {
    parts: &'a WriterParts,
}

impl<'a> MetricsReporter<'a> {
    pub(super) fn new(parts: &'a WriterParts) -> Self {
        Self { parts }
    }
}

#[cfg(feature = "metrics")]
fn service(parts: &WriterParts) -> String {
    parts.origin().split('@').next().unwrap_or_default().to_owned()
}

#[cfg(feature = "metrics")]
impl MetricsReporter<'_> {
    /// Reports the state once a second, for ever.
    pub(super) async fn run(&self) {
        loop {
            self.report();
            tokio::time::sleep(EVERY).await;
        }
    }

    pub(super) fn report(&self) {
        let (stats, service) = (self.parts.stats(), service(self.parts));
        for (name, value) in [
            ("audit_events_recorded_total", stats.recorded),
            ("audit_events_stored_total", stats.stored),
            ("audit_events_refused_total", stats.refused),
            ("audit_events_quarantined_total", stats.quarantined),
            ("audit_events_adopted_total", stats.adopted),
            ("audit_events_in_transactions_total", stats.in_transactions),
            ("audit_batch_retries_total", stats.retries),
            ("audit_batch_conflicts_total", stats.conflicts),
            ("audit_events_rekeyed_total", stats.rekeyed),
        ] {
            metrics::counter!(name, "service" => service.clone()).absolute(value);
        }
        for (rule, left_out) in stats.left_out {
            metrics::counter!("audit_events_left_out_total", "service" => service.clone(), "rule" => rule)
                .absolute(left_out);
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
impl MetricsReporter<'_> {
    pub(super) async fn run(&self) {
        std::future::pending().await
    }

    pub(super) fn report(&self) {
        let _ = self.parts;
    }
}

/// A batch was stored.
#[cfg(feature = "metrics")]
pub(super) fn batch(parts: &WriterParts, rows: usize, took: Duration) {
    metrics::histogram!("audit_batch_rows", "service" => service(parts)).record(rows as f64);
    metrics::histogram!("audit_commit_seconds", "service" => service(parts)).record(took.as_secs_f64());
}

#[cfg(not(feature = "metrics"))]
pub(super) fn batch(_: &WriterParts, _: usize, _: Duration) {}
