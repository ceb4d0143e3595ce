//! The user's own body: while it runs, its call is the cause of every event below.

use super::{Call, Panic};
use crate::capture::Key;
use crate::context::{Frame, swap_call};
use pin_project_lite::pin_project;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{self, Poll};

impl Call {
    /// Runs a synchronous body: events below name this call as their cause.
    #[inline]
    pub fn run<R>(&mut self, body: impl FnOnce() -> R) -> R {
        let Some(active) = &mut *self.active else {
            return apart(body);
        };
        active.outside = swap_call(Some(active.frame()));
        let ended = catch_unwind(AssertUnwindSafe(body));
        swap_call(active.outside);
        match ended {
            Ok(returned) => returned,
            Err(panic) => self.panicked(panic),
        }
    }

    /// Wraps an asynchronous body: events below name this call as their cause.
    #[inline]
    pub fn run_async<F: Future>(&mut self, body: F) -> InCall<'_, F> {
        InCall { body, call: self }
    }

    /// Captures the message of a panic that leaves the body, and lets it go on.
    #[cold]
    fn panicked(&mut self, panic: Panic) -> ! {
        if let Some(message) = text(panic.as_ref()) {
            self.serialize(const { &Key::new("$panic") }, message);
        }
        resume_unwind(panic)
    }
}

/// Runs a body that nothing is recorded of, in a frame of its own: the stack of a recorded one would hold its values, too.
#[inline(never)]
fn apart<R>(body: impl FnOnce() -> R) -> R {
    body()
}

pub(super) fn text(panic: &(dyn Any + Send)) -> Option<&str> {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

/// Puts a call in force on this thread, and what was before back, also when the body panics.
pub(super) struct Inside(Option<Frame>);

impl Inside {
    #[inline]
    pub(super) fn new(frame: Option<Frame>) -> Self {
        Self(swap_call(frame))
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        swap_call(self.0);
    }
}

pin_project! {
    /// The body of an asynchronous call.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct InCall<'a, F> {
        #[pin]
        body: F,
        call: &'a mut Call,
    }
}

impl<F: Future> Future for InCall<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(active) = &mut *this.call.active else {
            return this.body.poll(cx);
        };
        active.suspended = false;
        let inside = Inside::new(Some(active.frame()));
        match catch_unwind(AssertUnwindSafe(|| this.body.as_mut().poll(cx))) {
            Ok(polled) => {
                active.suspended = polled.is_pending();
                polled
            }
            Err(panic) => {
                drop(inside);
                this.call.panicked(panic)
            }
        }
    }
}
