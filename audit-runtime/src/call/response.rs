//! HTTP responses: the status is the result of the call, and decides its outcome.

use super::Call;
use super::demands::EndsInError;
use super::described::{WithStatus, texts};
use super::shown::Shown;
use crate::capture::Key;
use crate::capture::error_text::ErrorText;
use axum_core::response::ErrorResponse;
pub use axum_core::response::IntoResponse;
pub use axum_core::response::Response;

/// Values with a status: a response, the status itself, a redirection, and the pair that axum makes
/// a response with that status of.
macro_rules! statuses {
    ($(<$($parameter:ident)?> $type:ty, |$value:ident| $status:expr;)+) => {$(
        impl$(<$parameter>)? Shown<&$type> {
            /// Captures the status as the call's result.
            pub fn audited_capture(self, call: &mut Call) {
                let $value = self.value();
                call.serialize(const { &Key::new("result") }, &$status.as_u16());
            }

            /// Captures the status of an `impl IntoResponse` as the call's result.
            pub fn audited_status(self, call: &mut Call) {
                self.audited_capture(call);
            }

            /// Captures the status of a type that contains a type parameter of the function.
            pub fn audited_capture_generic(self, call: &mut Call) {
                self.audited_capture(call);
            }

            /// Counts the call as a failure if the status is of the 4xx or 5xx.
            pub fn audited_outcome(self, call: &mut Call) {
                let $value = self.value();
                call.fails($status.is_client_error() || $status.is_server_error());
            }

            /// Captures the status, and records that the call returned it.
            ///
            /// The call counts as a failure if it may be one and the status is one.
            pub fn audited_end(self, call: &mut Call, may_fail: bool) {
                call.capture(|call| {
                    if may_fail {
                        self.audited_outcome(call);
                    }
                    self.audited_capture(call);
                });
                call.finish_ok();
            }

            /// Records the returned status of a type that contains a type parameter of the
            /// function.
            pub fn audited_end_generic(self, call: &mut Call, may_fail: bool) {
                self.audited_end(call, may_fail);
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
    <> axum::response::Redirect, |redirect| redirect.status_code();
}

// The status of an error response shows the reason, and its headers do not belong in a trail. The
// error of `axum::response::Result` keeps its status to itself.
texts! {
    WithStatus: [B] http::Response<B>, |response| ErrorText::by_display(&response.status());
    WithStatus: [] ErrorResponse, |_error| {
        ErrorText::by_display("an error response; return axum::response::Response to have its status here")
    };
}

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

/// Makes the response whose status is read.
pub fn into_response<R: IntoResponse>(returned: R) -> Response {
    returned.into_response()
}

/// Makes the response of a success value.
///
/// # Errors
/// The error, as it is.
pub fn ok_into_response<R: IntoResponse, E>(returned: Result<R, E>) -> Result<Response, E> {
    returned.map(R::into_response)
}
