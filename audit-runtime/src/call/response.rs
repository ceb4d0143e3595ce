//! HTTP responses: the status is the result of the call, and decides its outcome.

use super::{Call, EndsInError, Shown};
use crate::capture::Key;
use crate::error::{ByDisplay, Described, ErrorText};
use axum_core::response::ErrorResponse;
pub use axum_core::response::IntoResponse;
pub use axum_core::response::Response;

/// Values with a status: a response, the status itself, and the pair that axum makes a response with that status of.
macro_rules! statuses {
    ($(<$($parameter:ident)?> $type:ty, |$value:ident| $status:expr;)+) => {$(
        impl$(<$parameter>)? Shown<&$type> {
            /// Captures the status as the call's result.
            pub fn capture(self, call: &mut Call) {
                let $value = self.0;
                call.serialize(const { &Key::new("result") }, &$status.as_u16());
            }

            /// The same of what is an `impl IntoResponse`.
            pub fn capture_status(self, call: &mut Call) {
                self.capture(call);
            }

            /// The same where the type has a type parameter of the function in it.
            pub fn capture_generic(self, call: &mut Call) {
                self.capture(call);
            }

            /// Counts the call as a failure if the status is of the 4xx or 5xx.
            pub fn outcome(self, call: &mut Call) {
                let $value = self.0;
                call.fails($status.is_client_error() || $status.is_server_error());
            }
        }

        #[diagnostic::do_not_recommend]
        impl$(<$parameter>)? EndsInError for $type {}
    )+};
}

statuses! {
    <B> http::Response<B>, |response| response.status();
    <> http::StatusCode, |status| status;
    <R> (http::StatusCode, R), |pair| pair.0;
}

/// A response that is an error: its status says why, and its headers are not for a trail. (One reference more than for other errors, so
/// that it comes before their Display and Debug.)
impl<B> ByDisplay for &&&Described<'_, http::Response<B>> {
    fn describe(&self) -> ErrorText {
        ErrorText::by_display(&self.0.status())
    }
}

/// The error of `axum::response::Result`, which keeps its status to itself.
impl ByDisplay for &&&Described<'_, ErrorResponse> {
    fn describe(&self) -> ErrorText {
        ErrorText::by_display("an error response; return axum::response::Response to have its status here")
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
