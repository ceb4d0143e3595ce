//! A refusal, in words.

use super::layout;
use crate::serve::refusal::Refusal;
use crate::text::harmless;
use axum::http::StatusCode;
use maud::{Markup, html};

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "This question cannot be read",
        StatusCode::UNAUTHORIZED => "Log in first",
        StatusCode::FORBIDDEN => "You may not see this",
        StatusCode::NOT_FOUND => "Nothing found",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "Not now",
        _ => "This did not work",
    }
}

/// The page of a refusal.
pub(crate) fn page(refusal: &Refusal) -> Markup {
    let title = title(refusal.status);
    let text = harmless(&refusal.text);
    let mut letters = text.chars();
    let sentence = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    layout::bare(
        title,
        &html! {
            section.notice role="alert" {
                p.status { (refusal.status.as_u16()) }
                h1 { (title) }
                p { (sentence) "." }
                p { a href="/" { "Back to the search" } }
            }
        },
    )
}
