//! Requests that get another answer than they asked for, in words.

use crate::failure::{Failure, is_unreachable, plain};
use audit_runtime::DatabaseError;
use axum::http::StatusCode;
use std::fmt;

/// The state of a statement that took longer than the session allows.
const CANCELED: &str = "57014";

/// Why a request has no answer: the status, and words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// Refuses a request that cannot be understood.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// Answers that there is no such thing, or that the viewer may not see it: both look alike.
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// Refuses what the viewer's roles or filter do not include.
    pub(crate) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// Answers that the page cannot do its work now.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
        match code.as_deref() {
            _ if is_unreachable(&error) => {
                Self::unavailable(format!("the database does not answer: {}; try again later", plain(&error)))
            }
            Some(CANCELED) => Self::unavailable(
                "the database needs more than five seconds for this; narrow the time or add a condition that an index serves",
            ),
            // The question cannot be expressed or is too deep.
            Some(code) if code.starts_with("22") || code.starts_with("54") => {
                Self::bad(Failure::from(error).to_string())
            }
            _ => Self::unavailable(format!("the database refuses: {}", Failure::from(error))),
        }
    }
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        match Failure::from(error) {
            Failure::Database(error) => error.into(),
            failure => failure.into(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Database(error) => error.into(),
            Failure::Usage(text) => Self::bad(text),
            Failure::Nothing(text) => Self::not_found(text),
            other => Self::unavailable(other.to_string()),
        }
    }
}
