//! Records before the body runs: an intent, and, if the call requires it, on disk, where no power
//! failure reaches it.

use super::active::Intent;
use super::{Call, thinning};
use crate::capture::error_text::ErrorText;
use crate::error::RecordError;
use crate::event::Outcome;
use crate::recorder::buffer;
use crate::sys::block_on;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;

impl Call {
    /// Records that the call is about to begin.
    ///
    /// A refusal is counted and reported as a warning. The call itself goes on.
    pub fn intent(&mut self) {
        let _ = self.record_intent();
    }

    /// Records that the call is about to begin, and waits until the record is on disk.
    ///
    /// If the journal is in memory, it waits until PostgreSQL has the record.
    ///
    /// # Errors
    /// The record is not there, and the body must not run.
    pub fn required(&mut self) -> Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send + '_>> {
        // Boxed, so that callers' futures stay small. Next to the wait for a disk, the allocation
        // costs nothing.
        Box::pin(self.recorded())
    }

    async fn recorded(&mut self) -> Result<(), RecordError> {
        if let Some(site) = self.uninstalled {
            return Err(RecordError::NotInstalled(site.function));
        }
        let (Some(position), Some(active)) = (self.record_intent()?, &*self.active) else {
            return Ok(());
        };
        let recorder = active.recorder.clone();
        self.suspended(true);
        let durable = recorder.durable(position).await;
        self.suspended(false);
        if let Err(error) = &durable {
            self.fail(error);
        }
        durable
    }

    /// Records like [`required`](Self::required), for synchronous functions. It blocks the thread.
    ///
    /// # Errors
    /// As [`required`](Self::required).
    pub fn required_blocking(&mut self) -> Result<(), RecordError> {
        block_on(self.recorded())
    }

    /// Records the call as one that returned this error, which is the library's own.
    pub(super) fn fail(&mut self, error: &(dyn Error + 'static)) {
        self.error(&|| ErrorText::of_error(error));
        self.finish(Outcome::Error);
    }

    /// Returns the journal's position behind the intent, or `None` if the call is not recorded.
    fn record_intent(&mut self) -> Result<Option<u64>, RecordError> {
        let Some(active) = &mut *self.active else {
            return Ok(None);
        };
        let Intent::Planned(id) = active.intent else {
            return Ok(None);
        };
        if active.recorder.policy().is_some() {
            thinning::begin_intent(&active.recorder, &active.metadata, &mut active.thinning);
            if active.thinning.left_out_by().is_some() {
                return Ok(None);
            }
        }
        let mut buffer = buffer::take();
        active.fields.copy_to(&mut buffer);
        active.metadata.complete(&active.recorder, &mut buffer, id, Outcome::Started, None);
        if active.recorder.policy().is_some() {
            thinning::note(&active.recorder, &active.metadata, &mut active.thinning, Outcome::Started, &mut buffer);
        }
        let appended = active.recorder.append(&buffer);
        buffer::put(buffer);
        match appended {
            Ok(position) => {
                active.recorder.counters.intent_began();
                active.intent = Intent::Recorded;
                active.metadata.causation = Some(id);
                Ok(Some(position))
            }
            Err(error) => {
                active.intent = Intent::None;
                Err(error)
            }
        }
    }
}

/// The error of a `required` or `tx` function, made of one of the library's own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold `{E}`, the error of a call that cannot be recorded",
    label = "not `From<{E}>`",
    note = "add a variant with `#[from] {E}` to the error type, or return `anyhow::Error` or `Box<dyn Error>`"
)]
pub trait Refused<E>: From<E> {}

#[diagnostic::do_not_recommend]
impl<E, T: From<E>> Refused<E> for T {}

/// The return type of a `required` or `tx` function.
#[diagnostic::on_unimplemented(
    message = "`required` and `tx` return `Err` if a call cannot be recorded, but this function returns `{Self}`",
    label = "not a `Result`",
    note = "return a `Result` whose error is `From<{E}>`, or write `intent` in place of `required`"
)]
pub trait Refusal<E> {
    /// Returns the `Err` of this error.
    fn refusal(error: E) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, X: Refused<E>, E> Refusal<E> for Result<T, X> {
    fn refusal(error: E) -> Self {
        Err(X::from(error))
    }
}

/// Returns the failure in place of the function's own result, a `Result` by its name.
pub fn refused<R, T: Refused<E>, E>(error: E) -> Result<R, T> {
    Err(T::from(error))
}

/// Returns the failure in place of the function's own result, by whatever name.
pub fn refused_by_type<R: Refusal<E>, E>(error: E) -> R {
    R::refusal(error)
}
