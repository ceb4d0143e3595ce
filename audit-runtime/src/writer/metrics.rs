//! Reports to the `metrics` facade: see [`Stats`](crate::Stats). The writer's thread makes them,
//! and callers pay nothing.

#[cfg(feature = "metrics")]
use super::metrics_table::{BATCH_ROWS, COMMIT_SECONDS, COUNTERS, GAUGES, HEALTH, LEFT_OUT, describe};
use super::parts::WriterParts;
#[cfg(feature = "metrics")]
use crate::recorder::health::Health;
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
        #[cfg(feature = "metrics")]
        describe();
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
        for counter in COUNTERS {
            metrics::counter!(counter.name, "service" => service.clone()).absolute((counter.value)(&stats));
        }
        for (rule, left_out) in &stats.left_out {
            metrics::counter!(LEFT_OUT.name, "service" => service.clone(), "rule" => rule.clone()).absolute(*left_out);
        }
        for gauge in GAUGES {
            metrics::gauge!(gauge.name, "service" => service.clone()).set((gauge.value)(&stats));
        }
        let health = match Health::of(&self.parts.counters, &self.parts.journal, &self.parts.control) {
            Health::Healthy => 0.0,
            Health::Degraded(_) => 1.0,
            Health::Refusing(_) => 2.0,
        };
        metrics::gauge!(HEALTH.name, "service" => service).set(health);
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
    metrics::histogram!(BATCH_ROWS.name, "service" => service(parts)).record(rows as f64);
    metrics::histogram!(COMMIT_SECONDS.name, "service" => service(parts)).record(took.as_secs_f64());
}

#[cfg(not(feature = "metrics"))]
pub(super) fn batch(_: &WriterParts, _: usize, _: Duration) {}
