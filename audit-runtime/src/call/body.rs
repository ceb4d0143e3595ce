//! The user's own body: while it runs, its call is the cause of every event below.

use super::{Call, Panic};
use crate::capture::{Key, panic_text};
use crate::context::{Frame, swap_call};
use pin_project_lite::pin_project;
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
        // As [`inside`] does it, but for the place: a frame on the stack is more than a small call has else.
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
        if let Some(message) = panic_text(panic.as_ref()) {
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

/// Runs a part of a body with a call in force on this thread, and puts back what was before.
#[inline]
pub(super) fn inside<R>(frame: Option<Frame>, body: impl FnOnce() -> R) -> Result<R, Panic> {
    let outside = swap_call(frame);
    let ended = catch_unwind(AssertUnwindSafe(body));
    swap_call(outside);
    ended
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
        match inside(Some(active.frame()), || this.body.as_mut().poll(cx)) {
            Ok(polled) => {
                active.suspended = polled.is_pending();
                polled
            }
            Err(panic) => this.call.panicked(panic),
        }
    }
}
