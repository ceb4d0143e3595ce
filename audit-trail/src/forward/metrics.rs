//! The metrics of a feed.

use crate::metrics::Metric;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The counts of a feed that runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) set_aside: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) is_waiting: AtomicBool,
    /// The age of the first event that waits, in seconds.
    lag: Mutex<f64>,
}

impl Counters {
    pub(super) fn lags(&self, seconds: f64) {
        *self.lag.lock().unwrap_or_else(PoisonError::into_inner) = seconds;
    }

    pub(super) fn text(&self, feed: &str) -> String {
        let lag = *self.lag.lock().unwrap_or_else(PoisonError::into_inner);
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
                "Age of the first batch that the target lacks.",
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

    #[test]
    fn each_metric_has_help_and_a_type() {
        let text = Counters::default().text("a \"b\"");
        assert!(text.contains("audit_feed_sent_total{feed=\"a \\\"b\\\"\"} 0\n"), "{text}");
        assert_eq!(text.matches("# HELP ").count(), 5);
        assert_eq!(text.matches("# TYPE ").count(), 5);
    }
}
