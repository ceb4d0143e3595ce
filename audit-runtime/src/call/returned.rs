//! How a call ended, by the type of its return value. The compiler resolves an alias, an associated
//! type or an opaque type, where the attribute sees a name.

use super::links::links;
use super::{Call, hidden_result};
use serde::Serialize;
use std::error::Error;
use std::fmt::{self, Display};
use std::task::Poll;

/// The error of a value that is not a `Result`, which never exists.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Never {}

impl Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

// An error is described by the first link: the compiler looks no further for one that there never
// is.
impl Error for Never {}

links! {
    /// A value that an audited function returned: a `Result`, or one with a `Result` inside.
    Returned -> ReturnedFuture,
    /// A future under another name.
    ReturnedFuture -> ReturnedValue,
    /// A value that serde can distinguish from a `Result`.
    ReturnedValue -> ReturnedOther,
    /// Any other value.
    ReturnedOther
}

/// Wraps a returned value, by which the call's end is classified.
#[inline(always)]
pub const fn returned<R>(out: &R) -> Returned<&R> {
    Returned::new(out)
}

impl<'a, T, E> Returned<&'a Result<T, E>> {
    /// Returns the success value, or the error.
    #[inline(always)]
    #[allow(clippy::missing_errors_doc)]
    pub fn audited_split(self, _: &mut Call) -> Result<&'a T, &'a E> {
        self.value().as_ref()
    }
}

impl<'a, T, E> Returned<&'a Option<Result<T, E>>> {
    /// Returns the success value, if there is one, or the error.
    #[inline]
    #[allow(clippy::missing_errors_doc)]
    pub fn audited_split(self, _: &mut Call) -> Result<Option<&'a T>, &'a E> {
        self.value().as_ref().map(Result::as_ref).transpose()
    }
}

impl<'a, T, E> Returned<&'a Poll<Result<T, E>>> {
    /// Returns the success value, once it is there, or the error.
    #[inline]
    #[allow(clippy::missing_errors_doc)]
    pub fn audited_split(self, _: &mut Call) -> Result<Poll<&'a T>, &'a E> {
        Ok(match self.value() {
            Poll::Ready(result) => Poll::Ready(result.as_ref()?),
            Poll::Pending => Poll::Pending,
        })
    }
}

impl<'a, T, E> Returned<&'a Poll<Option<Result<T, E>>>> {
    /// Returns the success value, once and if it is there, or the error.
    #[inline]
    #[allow(clippy::missing_errors_doc)]
    pub fn audited_split(self, _: &mut Call) -> Result<Poll<Option<&'a T>>, &'a E> {
        Ok(match self.value() {
            Poll::Ready(result) => Poll::Ready(result.as_ref().map(Result::as_ref).transpose()?),
            Poll::Pending => Poll::Pending,
        })
    }
}

/// A value by which a call has ended.
#[diagnostic::on_unimplemented(
    message = "the outcome of this call is unknown when it returns: `{Self}` is a future",
    label = "a future under another name",
    note = "write the type out, as `impl Future<Output = ..>` or `Pin<Box<dyn Future<Output = ..> + Send>>`, to record the call when its \
            future ends",
    note = "or add `infallible`, to record it as `ok` when the future is made"
)]
pub trait Ended {}

impl<'a, F: Future> ReturnedFuture<&'a F> {
    /// Fails to compile.
    ///
    /// # Errors
    /// Never.
    pub fn audited_split(self, _: &mut Call) -> Result<&'a Never, &'a Never>
    where
        F: Ended,
    {
        unreachable!("no future is `Ended`")
    }
}

impl<'a, V: Serialize> ReturnedValue<&'a V> {
    /// Returns the value as a success, unless it turns out to be an `Err`.
    ///
    /// # Errors
    /// Never.
    #[inline]
    pub fn audited_split(self, call: &mut Call) -> Result<&'a V, &'a Never> {
        if hidden_result::names_a_result::<V>() {
            call.capture(|call| call.unseen(hidden_result::said::<V>, self.value()));
        }
        Ok(self.value())
    }
}

impl<'a, V> ReturnedOther<&'a V> {
    /// Returns the value as a success, unless its type's name is that of a `Result`.
    ///
    /// # Errors
    /// Never.
    #[inline]
    pub fn audited_split(self, call: &mut Call) -> Result<&'a V, &'a Never> {
        if hidden_result::names_a_result::<V>() {
            call.capture(Call::unknown);
        }
        Ok(self.value())
    }
}
