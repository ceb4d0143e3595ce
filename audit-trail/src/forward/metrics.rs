//! The metrics of a feed.

use crate::metrics::Metric;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The counts of a feed that runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) set_aside: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) is_waiting: AtomicBool,
    /// The age of the first batch that waits, in seconds, and the time at which it had that age.
    lag: Mutex<Option<(f64, Instant)>>,
}

impl Counters {
    /// Notes the age of the first batch that waits, or that none does.
    pub(super) fn lags(&self, seconds: Option<f64>) {
        *self.lag() = seconds.map(|seconds| (seconds, Instant::now()));
    }

    /// Notes that nobody knows what waits, because the database is away.
    pub(super) fn is_cut_off(&self) {
        self.lag().get_or_insert_with(|| (0.0, Instant::now()));
    }

    fn lag(&self) -> MutexGuard<'_, Option<(f64, Instant)>> {
        self.lag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn text(&self, feed: &str) -> String {
        // A batch that waits grows older, whatever the feed does meanwhile.
        let lag = self.lag().map_or(0.0, |(seconds, at)| seconds + at.elapsed().as_secs_f64());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed).to_string();
        let waiting = u8::from(self.is_waiting.load(Ordering::Relaxed)).to_string();
        [
            Metric::counter("audit_feed_sent_total", "Events that the target has taken.", count(&self.sent)),
            Metric::counter(
                "audit_feed_set_aside_total",
                "Events that the target has refused.",
                count(&self.set_aside),
            ),
            Metric::counter(
                "audit_feed_failures_total",
                "Requests that failed and were sent again.",
                count(&self.failures),
            ),
            Metric::gauge("audit_feed_waiting", "1 while the target is away or the feed is paused.", waiting),
            Metric::gauge(
                "audit_feed_lag_seconds",
                "Age of the first batch that the target lacks, or time since the database was lost.",
                format!("{lag:.3}"),
            ),
        ]
        .map(|metric| metric.text(Some(("feed", feed))))
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_metric_has_help_and_a_type() {
        let text = Counters::default().text("a \"b\"");
        assert!(text.contains("audit_feed_sent_total{feed=\"a \\\"b\\\"\"} 0\n"), "{text}");
        assert_eq!(text.matches("# HELP ").count(), 5);
        assert_eq!(text.matches("# TYPE ").count(), 5);
    }

    #[test]
    fn a_batch_that_waits_grows_older_by_itself() {
        let lag = |counters: &Counters| -> f64 {
            let text = counters.text("a");
            let line = text.lines().find(|line| line.starts_with("audit_feed_lag_seconds{")).unwrap();
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        let counters = Counters::default();
        assert!(lag(&counters) < 0.001);
        *counters.lag() = Some((5.0, Instant::now() - Duration::from_secs(400)));
        assert!((405.0..500.0).contains(&lag(&counters)));
        // The lag goes on to grow while the database is away.
        counters.is_cut_off();
        assert!(lag(&counters) >= 405.0);
        counters.lags(None);
        assert!(lag(&counters) < 0.001);
        counters.is_cut_off();
        assert!(counters.lag().is_some());
    }
}
