//! Failures that go on are logged rarely.

use crate::postgres::failure::{Failure, describe};
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A failure that persists is reported again after this time.
const AGAIN: Duration = Duration::from_secs(30);
/// Failures that are remembered. An error may contain numbers that differ each time.
const REMEMBERED: usize = 16;

/// The failures reported by all lanes and the adoption of one writer.
#[derive(Debug, Default)]
pub(super) struct FailureLog(RefCell<HashMap<String, Instant>>);

impl FailureLog {
    /// Returns whether this failure was not reported for a while.
    pub(super) fn is_news(&self, text: &str) -> bool {
        self.is_news_at(text, Instant::now())
    }

    fn is_news_at(&self, text: &str, now: Instant) -> bool {
        let mut told = self.0.borrow_mut();
        told.retain(|_, at| now.duration_since(*at) < AGAIN);
        if told.contains_key(text) || told.len() >= REMEMBERED {
            return false;
        }
        told.insert(text.to_owned(), now);
        true
    }

    /// Logs that an attempt has failed, and returns its one line.
    pub(super) fn failure(&self, error: &sqlx::Error, retry_in: Duration) -> String {
        let text = describe(error);
        match Failure::of(error) {
            _ if !self.is_news(&text) => tracing::debug!(?retry_in, "{text}"),
            Failure::SchemaMissing | Failure::Conflict | Failure::OfAnotherRole => tracing::error!(?retry_in, "{text}"),
            _ => tracing::warn!(?retry_in, "audit events cannot be stored now, they wait in the journal: {text}"),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_in_a_while_and_a_flood_of_others_is_not() {
        let (log, begin) = (FailureLog::default(), Instant::now());
        assert!(log.is_news_at("refused", begin));
        assert!(log.is_news_at("timed out", begin));
        assert!(!log.is_news_at("refused", begin + AGAIN / 2));
        assert!(log.is_news_at("refused", begin + AGAIN));
        let news = (0..1_000).filter(|number| log.is_news_at(&format!("process {number}"), begin + AGAIN)).count();
        assert!(news < REMEMBERED, "{news}");
    }
}
