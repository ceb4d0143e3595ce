//! HTTP responses of actix-web.

use super::Call;
use super::described::{WithStatus, texts};
use super::statuses::statuses;
use crate::capture::error_text::ErrorText;
use actix_web::HttpResponse;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;

// A response of a handler, one of a middleware, and the status itself.
statuses! {
    <B> HttpResponse<B>, |response| response.status();
    <B> ServiceResponse<B>, |response| response.status();
    <> StatusCode, |status| status;
}

// The status of an error response shows the reason. Its Debug text would show its headers.
texts! {
    WithStatus: [B] HttpResponse<B>, |response| ErrorText::by_display(&response.status());
    WithStatus: [B] ServiceResponse<B>, |response| ErrorText::by_display(&response.status());
}
