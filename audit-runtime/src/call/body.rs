//! The user's own body: while it runs, its call is the cause of every event below.

use super::{Call, Panic};
use crate::capture::{Key, panic_text};
use crate::context::{CallFrame, swap_call};
use pin_project_lite::pin_project;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{self, Poll};

impl Call {
    /// Puts the call in force, for [`run`](Self::run): events below name it as their cause.
    ///
    /// A value that the body owns is moved only after that. Nothing may come between the moves if
    /// the compiler is to make one of them.
    #[inline]
    #[must_use = "the call is in force until the body has run"]
    pub fn entered(&mut self) -> &mut Self {
        if self.active.is_some() {
            self.put_in_force();
        }
        self
    }

    /// Runs a synchronous body, whether the call is recorded or not.
    ///
    /// If the body were called at two places, each would copy the values that the body owns. The
    /// function is inlined in any case: otherwise the compiler leaves one more copy of the values
    /// that the body returns.
    #[inline(always)]
    pub fn run<R>(&mut self, body: impl FnOnce() -> R) -> R {
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(returned) => {
                if self.active.is_some() {
                    self.put_back();
                }
                returned
            }
            Err(panic) => self.panicked_in_body(panic),
        }
    }

    #[inline(never)]
    fn put_in_force(&mut self) {
        if let Some(active) = &mut *self.active {
            active.decide();
            active.outside = swap_call(Some(active.frame()));
        }
    }

    #[inline(never)]
    fn put_back(&mut self) {
        if let Some(active) = &*self.active {
            swap_call(active.outside);
        }
    }

    #[cold]
    fn panicked_in_body(&mut self, panic: Panic) -> ! {
        self.put_back();
        self.panicked(panic)
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

/// Runs a part of a body with a call in force on this thread, and puts back what was before.
#[inline]
pub(super) fn inside<R>(frame: Option<CallFrame>, body: impl FnOnce() -> R) -> Result<R, Panic> {
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
        active.decide();
        match inside(Some(active.frame()), || this.body.as_mut().poll(cx)) {
            Ok(polled) => {
                active.suspended = polled.is_pending();
                polled
            }
            Err(panic) => this.call.panicked(panic),
        }
    }
}
