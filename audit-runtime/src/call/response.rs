//! HTTP responses: the status is the result of the call, and decides its outcome.

use super::{Call, EndsInError, Shown};
use crate::capture::Key;
use crate::error::{ByDisplay, Described, ErrorText};
pub use axum_core::response::IntoResponse;
pub use axum_core::response::Response;

impl<B> Shown<&http::Response<B>> {
    /// Captures the status as the call's result.
    pub fn capture(self, call: &mut Call) {
        call.serialize(const { &Key::new("result") }, &self.0.status().as_u16());
    }

    /// The same of what is an `impl IntoResponse`.
    pub fn capture_status(self, call: &mut Call) {
        self.capture(call);
    }

    /// The same where `B` is a type parameter.
    pub fn capture_generic(self, call: &mut Call) {
        self.capture(call);
    }

    /// Counts the call as a failure if the status is of the 4xx or 5xx.
    pub fn outcome(self, call: &mut Call) {
        let status = self.0.status();
        call.fails(status.is_client_error() || status.is_server_error());
    }
}

#[diagnostic::do_not_recommend]
impl<B> EndsInError for http::Response<B> {}

/// A response that is an error: its status says why, and its headers are not for a trail. (One reference more than for other errors, so
/// that it comes before their Display and Debug.)
impl<B> ByDisplay for &&&Described<'_, http::Response<B>> {
    fn describe(&self) -> ErrorText {
        ErrorText::by_display(&self.0.status())
    }
}

/// Any other value that an `impl IntoResponse` stands for.
pub trait ByResponse: Sized {
    /// Captures nothing.
    fn capture_status(self, _: &mut Call) {}
}

impl<V> ByResponse for Shown<V> {}

/// A promise that axum's response does not keep: an `IntoResponse` of another framework.
pub trait AsItIs: Sized {
    /// Returns the value as it is.
    fn respond<R>(self, returned: R) -> R {
        returned
    }

    /// Returns the value as it is.
    fn respond_ok<R>(self, returned: R) -> R {
        returned
    }
}

impl<T> AsItIs for T {}

/// Makes the response of which the status is asked.
pub fn into_response<R: IntoResponse>(returned: R) -> Response {
    returned.into_response()
}

/// Makes it of a success value.
///
/// # Errors
/// The error, as it is.
pub fn ok_into_response<R: IntoResponse, E>(returned: Result<R, E>) -> Result<Response, E> {
    returned.map(R::into_response)
}
