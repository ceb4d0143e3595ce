//! The end of a call that has returned.

use super::Call;
use crate::capture::error_text::ErrorText;
use crate::event::Outcome;

impl Call {
    /// Sets whether the returned value counts as a failure.
    pub(super) fn fails(&mut self, fails: bool) {
        if let Some(active) = &mut *self.active {
            active.fails = fails;
        }
    }

    /// Evaluates whether the returned value counts as a success. A panic counts as a failure.
    pub fn ok(&mut self, ok: impl FnOnce() -> bool) {
        self.fails(true);
        let ok = ok();
        self.fails(!ok);
    }

    /// Returns whether the returned value counts as a success.
    #[inline]
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.active.as_ref().is_none_or(|active| !active.fails)
    }

    /// Records that the call returned a value, or `Ok`.
    #[inline]
    pub fn finish_ok(&mut self) {
        if let Some(active) = &*self.active {
            let outcome = if active.fails { Outcome::Error } else { Outcome::Ok };
            self.record(outcome);
        }
    }

    /// Captures an error, and records that the call returned it.
    #[inline(never)]
    pub(super) fn fail_as(&mut self, describe: &dyn Fn() -> ErrorText) {
        self.error(describe);
        self.finish_error();
    }

    /// Records that the call returned `Err`.
    #[inline]
    pub fn finish_error(&mut self) {
        self.finish(Outcome::Error);
    }

    #[inline]
    pub(super) fn finish(&mut self, outcome: Outcome) {
        if self.active.is_some() {
            self.record(outcome);
        }
    }

    #[inline(never)]
    fn record(&mut self, outcome: Outcome) {
        if let Some(active) = self.active.take() {
            active.finish(outcome);
        }
    }
}
