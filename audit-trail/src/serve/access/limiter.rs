//! Limits of requests for each viewer, and for each address that is not a viewer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Buckets that are kept at most: those that are full again are forgotten.
const MOST: usize = 10_000;
/// A viewer may use what so many seconds allow at once.
const BURST: f64 = 3.0;

/// A bucket for each name, which fills by so many requests a second.
#[derive(Debug)]
pub(crate) struct Limiter {
    per_second: f64,
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Limiter {
    /// Allows so many requests a second, or any number for 0.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.into(), buckets: Mutex::default() }
    }

    /// Takes one request of this name from its bucket, and returns whether there was one.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.takes_at(name, Instant::now())
    }

    fn takes_at(&self, name: &str, now: Instant) -> bool {
        if self.per_second == 0.0 {
            return true;
        }
        let most = self.per_second * BURST;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let filled =
            |(left, at): (f64, Instant)| (left + now.duration_since(at).as_secs_f64() * self.per_second).min(most);
        if buckets.len() >= MOST && !buckets.contains_key(name) {
            buckets.retain(|_, bucket| filled(*bucket) < most);
            if buckets.len() >= MOST {
                return false;
            }
        }
        let left = buckets.get(name).map_or(most, |bucket| filled(*bucket));
        let is_left = left >= 1.0;
        buckets.insert(name.to_owned(), (if is_left { left - 1.0 } else { left }, now));
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_and_fills_and_others_are_not_touched() {
        let limiter = Limiter::new(10);
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| limiter.takes_at("ann", now)).count(), 30);
        assert!(limiter.takes_at("bob", now));
        let later = now + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| limiter.takes_at("ann", later)).count(), 5);
    }

    #[test]
    fn names_are_forgotten_and_never_grow_without_bound() {
        let limiter = Limiter::new(10);
        let now = Instant::now();
        assert!((0..MOST).all(|number| limiter.takes_at(&number.to_string(), now)));
        assert!(!limiter.takes_at("one more", now));
        assert!(limiter.takes_at("one more", now + Duration::from_secs(60)));
    }
}
