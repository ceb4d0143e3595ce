//! The success value of a call: whether it is a failure after all, and its capture as the result.

use super::links::links;
use super::{Call, hidden_result};
use crate::capture::Captured;
use crate::capture::diagnostics::Capture;
use serde::Serialize;
use std::task::Poll;

links! {
    /// A success value, as the attribute's closures see it: one with a status, where HTTP responses
    /// are known.
    Shown -> ShownWrapper,
    /// A wrapper.
    ShownWrapper -> ShownValue,
    /// One that serde knows.
    ShownValue -> ShownResult,
    /// A `Result` that serde knows nothing of.
    ShownResult -> ShownOther,
    /// Any other.
    ShownOther
}

/// Wraps a success value.
#[inline(always)]
pub const fn shown<V: Copy>(value: V) -> Shown<V> {
    Shown::new(value)
}

/// A success value that may have another inside, which is the one that is asked whether it is a
/// failure.
trait Success: Copy {
    /// The type that is captured.
    type Value;

    /// Returns the value inside, if it is there.
    fn inside(&self) -> Option<&Self::Value>;

    /// Captures the value as the call's result. `()` does not count as a value, wherever it is.
    fn capture(self, call: &mut Call)
    where
        Self::Value: Capture;
}

impl<T> Success for &T {
    type Value = T;

    #[inline]
    fn inside(&self) -> Option<&T> {
        Some(self)
    }

    #[inline]
    fn capture(self, call: &mut Call)
    where
        T: Capture,
    {
        call.result(self);
    }
}

impl<T> Success for Option<&T> {
    type Value = T;

    #[inline]
    fn inside(&self) -> Option<&T> {
        *self
    }

    #[inline]
    fn capture(self, call: &mut Call)
    where
        T: Capture,
    {
        match self {
            Some(value) => call.result(value),
            None => call.result(&self),
        }
    }
}

impl<T> Success for Poll<&T> {
    type Value = T;

    #[inline]
    fn inside(&self) -> Option<&T> {
        match *self {
            Self::Ready(value) => Some(value),
            Self::Pending => None,
        }
    }

    #[inline]
    fn capture(self, call: &mut Call)
    where
        T: Capture,
    {
        if let Self::Ready(value) = self {
            call.result(value);
        }
    }
}

impl<T> Success for Poll<Option<&T>> {
    type Value = T;

    #[inline]
    fn inside(&self) -> Option<&T> {
        match *self {
            Self::Ready(value) => value,
            Self::Pending => None,
        }
    }

    #[inline]
    fn capture(self, call: &mut Call)
    where
        T: Capture,
    {
        if let Self::Ready(value) = self {
            value.capture(call);
        }
    }
}

/// Counts the call as a failure if the value turns out to be an `Err`.
#[inline(always)]
fn ask<S: Success<Value: Serialize>>(value: S, call: &mut Call) {
    if hidden_result::names_a_result::<S::Value>()
        && let Some(value) = value.inside()
    {
        call.unseen(hidden_result::said::<S::Value>, value);
    }
}

/// Records that a call returned a value: asks it whether it is a failure, if it may be one, and
/// captures it.
#[inline(never)]
fn end<S: Success<Value: Capture>>(value: S, call: &mut Call, may_fail: bool) {
    call.capture(|call| {
        if may_fail {
            ask(value, call);
        }
        value.capture(call);
    });
    call.finish_ok();
}

macro_rules! successes {
    ($($type:ty),*) => {$(
        impl<T> ShownValue<$type> {
            /// Captures the value as the call's result.
            #[inline]
            pub fn audited_capture(self, call: &mut Call)
            where
                T: Capture,
            {
                self.value().capture(call);
            }

            /// Captures a value of a generic type: the compiler proposes the trait that users know.
            #[inline]
            pub fn audited_capture_generic(self, call: &mut Call)
            where
                T: Serialize,
            {
                self.value().capture(call);
            }

            /// Captures the value as the call's result, and records that the call returned it.
            ///
            /// The call counts as a failure if it may be one and the value is one.
            #[inline]
            pub fn audited_end(self, call: &mut Call, may_fail: bool)
            where
                T: Capture,
            {
                if call.is_recorded() {
                    end(self.value(), call, may_fail);
                }
            }

            /// Records a returned value of a generic type like `audited_end`.
            #[inline]
            pub fn audited_end_generic(self, call: &mut Call, may_fail: bool)
            where
                T: Serialize,
            {
                self.audited_end(call, may_fail);
            }
        }

        impl<T: Serialize> ShownValue<$type> {
            /// Counts the call as a failure if the success value turns out to be an `Err`.
            #[inline]
            pub fn audited_outcome(self, call: &mut Call) {
                ask(self.value(), call);
            }
        }
    )*};
}

successes! { &T, Option<&T>, Poll<&T>, Poll<Option<&T>> }

impl<W: Captured> ShownWrapper<&W> {
    /// Captures the content as the call's result.
    #[inline]
    pub fn audited_capture(self, call: &mut Call) {
        call.result(self.value().captured());
    }

    /// Captures the content of a type that contains a type parameter of the function.
    #[inline]
    pub fn audited_capture_generic(self, call: &mut Call) {
        self.audited_capture(call);
    }

    /// Captures the content, and records that the call returned it.
    #[inline]
    pub fn audited_end(self, call: &mut Call, _may_fail: bool) {
        if call.is_recorded() {
            call.capture(|call| self.audited_capture(call));
            call.finish_ok();
        }
    }

    /// Records the returned content of a type that contains a type parameter of the function.
    #[inline]
    pub fn audited_end_generic(self, call: &mut Call, may_fail: bool) {
        self.audited_end(call, may_fail);
    }
}

impl<T, E> ShownResult<&Result<T, E>> {
    /// Counts the call as a failure if the success value is an `Err`.
    #[inline]
    pub fn audited_outcome(self, call: &mut Call) {
        match self.value() {
            Ok(_) if hidden_result::names_a_result::<T>() => call.unknown(),
            result => call.fails(result.is_err()),
        }
    }
}

impl<V> ShownOther<V> {
    /// Leaves the outcome as it is, unless the name of the value's type is that of a `Result`.
    #[inline]
    pub fn audited_outcome(self, call: &mut Call) {
        if hidden_result::names_a_result::<V>() {
            call.unknown();
        }
    }

    /// Captures nothing, because an `impl IntoResponse` may stand for a value without a status.
    #[inline]
    pub fn audited_status(self, _: &mut Call) {}
}
