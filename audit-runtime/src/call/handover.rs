//! A call that the body of an `async fn` begins, and the code around it finishes.
//!
//! Arguments are used where the body has them. A block around the body that used them would hold
//! each of them once more while the body runs.

use super::active::Active;
use super::body::inside;
use super::{Call, Site};
use crate::capture::{Key, panic_text};
use crate::context::{CallFrame, current_call, swap_call};
use pin_project_lite::pin_project;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe, resume_unwind};
use std::pin::Pin;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::task::{self, Poll};

/// The place of a call between the two.
///
/// If it is dropped before the call was finished, it records that the call panicked or was
/// cancelled.
#[derive(Debug, Default)]
pub struct Handover {
    /// A box, put by the body and taken once the body has ended. `Sync` requires this, because
    /// threads share a future in turn.
    active: AtomicPtr<Active>,
    /// The body waits to be polled.
    is_suspended: AtomicBool,
    /// The message of the panic that ended the body.
    panic: OnceLock<Box<str>>,
}

// A panic leaves nothing in here half changed, as in a plain `async fn`.
impl UnwindSafe for Handover {}
impl RefUnwindSafe for Handover {}

impl Handover {
    /// Makes a place for a call that is not begun yet.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { active: AtomicPtr::new(ptr::null_mut()), is_suspended: AtomicBool::new(false), panic: OnceLock::new() }
    }

    /// Begins a call here, as [`Call::begin`] does.
    #[inline]
    pub fn begin(&self, site: &'static Site, entry: impl FnOnce(&mut Call)) {
        self.put(Call::begin(site, entry));
    }

    /// Puts the call that was begun here: events below name it as their cause.
    #[inline]
    pub fn put(&self, mut call: Call) {
        if let Some(mut active) = call.active.take() {
            active.decide();
            swap_call(Some(active.frame()));
            let before = self.active.swap(Box::into_raw(active), Ordering::AcqRel);
            debug_assert!(before.is_null(), "a body begins its call once");
        }
    }

    /// Wraps the body, which begins the call.
    #[inline]
    pub fn run_async<F: Future>(&self, body: F) -> Handed<'_, F> {
        Handed { body, handover: self }
    }

    /// Takes the call, to be finished.
    #[inline]
    #[must_use]
    pub fn call(&mut self) -> Call {
        Call { active: ManuallyDrop::new(self.take()), uninstalled: None }
    }

    #[inline]
    fn take(&mut self) -> Option<Box<Active>> {
        let active = std::mem::replace(self.active.get_mut(), ptr::null_mut());
        // SAFETY: it is the box that was put here, and nobody borrows this place.
        (!active.is_null()).then(|| unsafe { Box::from_raw(active) })
    }

    #[inline]
    fn frame(&self) -> Option<CallFrame> {
        // SAFETY: the owner of the box has this place for itself, and while it is here, nothing of
        // it changes.
        unsafe { self.active.load(Ordering::Acquire).as_ref() }.map(Active::frame)
    }

    #[cold]
    fn dropped(&mut self) {
        let is_suspended = *self.is_suspended.get_mut();
        let message = self.panic.take();
        let mut call = self.call();
        if let Some(message) = message {
            call.serialize(const { &Key::new("$panic") }, &*message);
        }
        call.suspended(is_suspended);
    }
}

impl Drop for Handover {
    #[inline]
    fn drop(&mut self) {
        if !self.active.get_mut().is_null() {
            self.dropped();
        }
    }
}

pin_project! {
    /// The body of an `async fn`.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Handed<'a, F> {
        #[pin]
        body: F,
        handover: &'a Handover,
    }
}

impl<F: Future> Future for Handed<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let handover = *this.handover;
        handover.is_suspended.store(false, Ordering::Relaxed);
        match inside(handover.frame().or_else(current_call), || this.body.as_mut().poll(cx)) {
            Ok(polled) => {
                handover.is_suspended.store(polled.is_pending(), Ordering::Relaxed);
                polled
            }
            Err(panic) => {
                if let Some(message) = panic_text(panic.as_ref()) {
                    let _ = handover.panic.set(message.into());
                }
                resume_unwind(panic)
            }
        }
    }
}
