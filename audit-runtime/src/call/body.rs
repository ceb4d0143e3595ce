//! The user's own body: while it runs, its call is the cause of every event below.

use super::Call;
use crate::context::{Frame, swap_call};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

impl Call {
    #[inline]
    fn frame(&self) -> Option<Frame> {
        self.active.as_ref().map(|active| active.frame())
    }

    /// Runs a synchronous body: events below name this call as their cause.
    #[inline]
    pub fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        let Some(frame) = self.frame() else {
            return body();
        };
        let _inside = Inside::new(Some(frame));
        body()
    }

    /// Wraps an asynchronous body: events below name this call as their cause.
    #[inline]
    pub fn run_async<F: Future>(&self, body: F) -> InCall<F> {
        InCall { body, frame: self.frame() }
    }
}

/// Puts a call in force on this thread, and what was before back, also when the body panics.
struct Inside(Option<Frame>);

impl Inside {
    #[inline]
    fn new(frame: Option<Frame>) -> Self {
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
    pub struct InCall<F> {
        #[pin]
        body: F,
        frame: Option<Frame>,
    }
}

impl<F: Future> Future for InCall<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = this.frame.map(|frame| Inside::new(Some(frame)));
        this.body.poll(cx)
    }
}
