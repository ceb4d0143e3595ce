//! HTTP responses: the status is the result of the call, and decides its outcome.

use super::{Call, EndsInError, Shown};
use crate::capture::Key;
pub use axum_core::response::IntoResponse;
use axum_core::response::Response;

impl<B> Shown<&http::Response<B>> {
    /// Captures the status as the call's result.
    pub fn capture(self, call: &mut Call) {
        call.serialize(const { &Key::new("result") }, &self.0.status().as_u16());
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
