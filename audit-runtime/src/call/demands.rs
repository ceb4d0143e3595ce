//! Bounds on an annotated function's return type. A type that breaks one gets an error with the
//! remedy.

use super::returned::Never;
use std::task::Poll;

/// A function whose call can fail.
#[diagnostic::on_unimplemented(
    message = "`err` and `error` need an `Err`, but this function returns `{Self}`",
    label = "`{Self}` is not a `Result`",
    note = "remove it, or write `ok = |value| ..` and `err = \"noun.verb\"` if some values count as failures"
)]
pub trait Fails {
    /// The type of its error.
    type Error;
}

/// A function whose call can end as one that failed.
#[diagnostic::on_unimplemented(
    message = "`err` names the event of an `Err`, but this function returns `{Self}`",
    label = "`{Self}` is not a `Result`",
    note = "remove `err`, or add `ok = |value| ..` if some values count as failures"
)]
pub trait EndsInError {}

/// The return type of a function that is declared `fallible`.
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

/// Requires that a function's return value can be an error.
pub const fn fails<R: Fails>(_: &R) {}

/// Requires that a function's return value is of the type that `fallible` names.
pub const fn fallible<R: Fallible>(_: &R) {}

/// Requires that a function's return value can end a call as a failure.
pub const fn ends_in_error<R: EndsInError>(_: &R) {}

/// Applies a late closure to the error that a function returned.
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

/// Requires that a function cannot return an error.
pub const fn no_error<E: NoError>(_: &E) {}

/// The error of a call with a parameter that is captured as `error`.
#[diagnostic::on_unimplemented(
    message = "the parameter `error` clashes with `data.error`, which the attribute records",
    label = "add `skip(error)` and `fields(other = error)`"
)]
pub trait NoErrorBeside {}

impl NoErrorBeside for Never {}

/// Requires that a function with a parameter of that name cannot return an error.
pub const fn no_error_beside<E: NoErrorBeside>(_: &E) {}
