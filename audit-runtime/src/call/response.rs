//! HTTP responses of axum and of `http`.

use super::Call;
use super::described::{WithStatus, texts};
use super::statuses::statuses;
use crate::capture::error_text::ErrorText;
use axum_core::response::ErrorResponse;
pub use axum_core::response::IntoResponse;
pub use axum_core::response::Response;

// A response, the status itself, a redirection, and the pair that axum makes a response with that
// status of.
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
