//! How a call ended, by the type of what it returned: the compiler knows an alias, an associated type or an opaque type by the type
//! it stands for, where the attribute sees a name.
//!
//! The choice is by method probing. For `Returned(&out).split(..)` the compiler takes, in this order: a method of the type itself
//! (a `Result`, or a type with a `Result` inside), that of a trait by value ([`ByFuture`]), by reference ([`BySerialize`]) and by
//! mutable reference ([`ByName`]). Probing precedes monomorphisation: in a function that is generic over what it returns, the last
//! two look at the type's name.

use super::Call;
use super::unseen;
use crate::bounds::Capture;
use serde::Serialize;
use std::task::Poll;

/// The value that an audited function returned.
#[derive(Debug)]
pub struct Returned<'a, R>(pub &'a R);

/// The error of a value that is no `Result`: there is none.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Never {}

impl<'a, T, E> Returned<'a, Result<T, E>> {
    /// Returns the success value, or the error.
    #[inline(always)]
    #[allow(clippy::missing_errors_doc)]
    pub fn split(self, _: &mut Call) -> Result<&'a T, &'a E> {
        self.0.as_ref()
    }
}

impl<'a, T, E> Returned<'a, Option<Result<T, E>>> {
    /// Returns the success value, if there is one, or the error.
    #[inline]
    #[allow(clippy::missing_errors_doc)]
    pub fn split(self, _: &mut Call) -> Result<Option<&'a T>, &'a E> {
        self.0.as_ref().map(Result::as_ref).transpose()
    }
}

impl<'a, T, E> Returned<'a, Poll<Result<T, E>>> {
    /// Returns the success value, once it is there, or the error.
    #[inline]
    #[allow(clippy::missing_errors_doc)]
    pub fn split(self, _: &mut Call) -> Result<Poll<&'a T>, &'a E> {
        Ok(match self.0 {
            Poll::Ready(result) => Poll::Ready(result.as_ref()?),
            Poll::Pending => Poll::Pending,
        })
    }
}

impl<'a, T, E> Returned<'a, Poll<Option<Result<T, E>>>> {
    /// Returns the success value, once and if it is there, or the error.
    #[inline]
    #[allow(clippy::missing_errors_doc)]
    pub fn split(self, _: &mut Call) -> Result<Poll<Option<&'a T>>, &'a E> {
        Ok(match self.0 {
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

/// A future under another name.
pub trait ByFuture<'a> {
    /// Its type.
    type Future;

    /// Fails to compile.
    ///
    /// # Errors
    /// Never.
    fn split(self, call: &mut Call) -> Result<&'a Never, &'a Never>
    where
        Self::Future: Ended;
}

impl<'a, F: Future> ByFuture<'a> for Returned<'a, F> {
    type Future = F;

    fn split(self, _: &mut Call) -> Result<&'a Never, &'a Never>
    where
        F: Ended,
    {
        unreachable!("no future is `Ended`")
    }
}

/// A value that serde can tell from a `Result`.
pub trait BySerialize<'a> {
    /// Its type.
    type Value;

    /// Returns the value as a success, unless it turns out to be an `Err`.
    ///
    /// # Errors
    /// Never.
    fn split(self, call: &mut Call) -> Result<&'a Self::Value, &'a Never>;
}

impl<'a, V: Serialize> BySerialize<'a> for &Returned<'a, V> {
    type Value = V;

    #[inline]
    fn split(self, call: &mut Call) -> Result<&'a V, &'a Never> {
        if unseen::names_a_result::<V>() {
            let value = self.0;
            call.capture(|call| call.unseen(unseen::said::<V>, value));
        }
        Ok(self.0)
    }
}

/// Any other value.
pub trait ByName<'a> {
    /// Its type.
    type Value;

    /// Returns the value as a success, unless its type's name is that of a `Result`.
    ///
    /// # Errors
    /// Never.
    fn split(self, call: &mut Call) -> Result<&'a Self::Value, &'a Never>;
}

impl<'a, V> ByName<'a> for &mut Returned<'a, V> {
    type Value = V;

    #[inline]
    fn split(self, call: &mut Call) -> Result<&'a V, &'a Never> {
        if unseen::names_a_result::<V>() {
            call.capture(Call::unknown);
        }
        Ok(self.0)
    }
}

/// The success value, as the attribute's closures see it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<V>(pub V);

/// A success value that serde knows.
pub trait ByCapture {
    /// Its type.
    type Value;

    /// Captures the value as the call's result.
    fn capture(self, call: &mut Call)
    where
        Self::Value: Capture;

    /// The same of a type that has parameters: the compiler proposes the trait that users know.
    #[inline]
    fn capture_generic(self, call: &mut Call)
    where
        Self: Sized,
        Self::Value: Serialize,
    {
        self.capture(call);
    }
}

impl<T> ByCapture for Shown<&T> {
    type Value = T;

    #[inline]
    fn capture(self, call: &mut Call)
    where
        T: Capture,
    {
        call.result(self.0);
    }
}

impl<T> ByCapture for Shown<Option<&T>> {
    type Value = T;

    #[inline]
    fn capture(self, call: &mut Call)
    where
        T: Capture,
    {
        // `()` is no value here either.
        match self.0 {
            Some(value) => call.result(value),
            None => call.result(&self.0),
        }
    }
}

impl<T> ByCapture for Shown<Poll<&T>> {
    type Value = T;

    #[inline]
    fn capture(self, call: &mut Call)
    where
        T: Capture,
    {
        if let Poll::Ready(value) = self.0 {
            call.result(value);
        }
    }
}

impl<T> ByCapture for Shown<Poll<Option<&T>>> {
    type Value = T;

    #[inline]
    fn capture(self, call: &mut Call)
    where
        T: Capture,
    {
        if let Poll::Ready(value) = self.0 {
            Shown(value).capture(call);
        }
    }
}

/// A success value that serde can tell from a `Result`.
pub trait ByOutcome {
    /// Counts the call as a failure if the success value turns out to be an `Err`.
    fn outcome(self, call: &mut Call);
}

macro_rules! outcomes {
    ($($ty:ty, |$shown:ident| $value:expr;)+) => {$(
        impl<V: Serialize> ByOutcome for Shown<$ty> {
            #[inline]
            fn outcome(self, call: &mut Call) {
                let $shown = self.0;
                if unseen::names_a_result::<V>()
                    && let Some(value) = $value
                {
                    call.unseen(unseen::said::<V>, value);
                }
            }
        }
    )+};
}

outcomes! {
    &V, |shown| Some(shown);
    Option<&V>, |shown| shown;
    Poll<&V>, |shown| if let Poll::Ready(value) = shown { Some(value) } else { None };
    Poll<Option<&V>>, |shown| if let Poll::Ready(value) = shown { value } else { None };
}

/// A `Result` that serde knows nothing of.
pub trait ByResult {
    /// Counts the call as a failure if the success value is an `Err`.
    fn outcome(self, call: &mut Call);
}

impl<T, E> ByResult for &Shown<&Result<T, E>> {
    #[inline]
    fn outcome(self, call: &mut Call) {
        match self.0 {
            Ok(_) if unseen::names_a_result::<T>() => call.unknown(),
            result => call.fails(result.is_err()),
        }
    }
}

/// Any other success value.
pub trait ByTypeOutcome {
    /// Leaves the outcome as it is, unless the name of the value's type is that of a `Result`.
    fn outcome(self, call: &mut Call);
}

impl<V> ByTypeOutcome for &mut Shown<V> {
    #[inline]
    fn outcome(self, call: &mut Call) {
        if unseen::names_a_result::<V>() {
            call.unknown();
        }
    }
}

/// A function whose call can fail.
#[diagnostic::on_unimplemented(
    message = "`err` and `error` need an `Err`, but this function returns `{Self}`",
    label = "`{Self}` is not a `Result`",
    note = "remove it, or write `ok = |value| ..` and `err = \"noun.verb\"` if some values count as failures"
)]
pub trait Fails {
    /// Its error.
    type Error;
}

/// A function whose call can end as one that failed.
#[diagnostic::on_unimplemented(
    message = "`err` names the event of an `Err`, but this function returns `{Self}`",
    label = "`{Self}` is not a `Result`",
    note = "remove `err`, or add `ok = |value| ..` if some values count as failures"
)]
pub trait EndsInError {}

/// The return type of a function that is said to be `fallible`.
#[diagnostic::on_unimplemented(
    message = "`fallible` needs a `Result`, but this function returns `{Self}`",
    label = "not a `Result`",
    note = "remove `fallible`, or write `ok = |value| ..` if some values count as failures"
)]
pub trait Fallible {}

macro_rules! fails {
    ($($ty:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T, E> Fails for $ty {
            type Error = E;
        }

        #[diagnostic::do_not_recommend]
        impl<T, E> EndsInError for $ty {}

        #[diagnostic::do_not_recommend]
        impl<T, E> Fallible for $ty {}
    )*};
}

fails! { Result<T, E>, Option<Result<T, E>>, Poll<Result<T, E>>, Poll<Option<Result<T, E>>> }

/// Demands of what a function returns that it can be an error.
pub const fn fails<R: Fails>(_: &R) {}

/// Demands of what a function returns that it is what `fallible` says.
pub const fn fallible<R: Fallible>(_: &R) {}

/// Demands of what a function returns that it can end as one that failed.
pub const fn ends_in_error<R: EndsInError>(_: &R) {}

/// Applies a late closure to the error of what a function returned.
pub fn late_error<'a, R: Fails, T>(_: &R, error: &'a R::Error, closure: impl FnOnce(&'a R::Error) -> T) -> T {
    closure(error)
}

/// The error of a call whose late event type stands alone.
#[diagnostic::on_unimplemented(
    message = "a late `event` is unknown if the function returns `Err`; add `err = \"noun.verb\"`",
    label = "this function can return `Err`"
)]
pub trait NoError {}

impl NoError for Never {}

/// Demands that there is no error.
pub const fn no_error<E: NoError>(_: &E) {}

/// The error of a call with a parameter that is captured as `error`.
#[diagnostic::on_unimplemented(
    message = "the parameter `error` clashes with `data.error`, which the attribute records",
    label = "add `skip(error)` and `fields(other = error)`"
)]
pub trait NoErrorBeside {}

impl NoErrorBeside for Never {}

/// Demands that there is no error beside a parameter of that name.
pub const fn no_error_beside<E: NoErrorBeside>(_: &E) {}
