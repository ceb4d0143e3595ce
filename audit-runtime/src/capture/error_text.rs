//! An error as text: its message and its causes.

use serde::Serialize;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::iter::successors;

/// The text recorded as `data.error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorText {
    /// The error itself.
    pub message: String,
    /// The error's sources, the nearest first.
    pub causes: Vec<String>,
}

impl ErrorText {
    pub(crate) fn of_error(error: &(dyn Error + '_)) -> Self {
        let message = error.to_string();
        let mut causes: Vec<String> = Vec::new();
        // A source chain in a circle is an application's bug, and must not hang the recording.
        for cause in successors(error.source(), |&cause| cause.source()).take(32) {
            let text = cause.to_string();
            // An error that only displays its source adds nothing.
            if text != *causes.last().unwrap_or(&message) {
                causes.push(text);
            }
        }
        Self { message, causes }
    }

    /// Describes an error by its `Debug` alone.
    pub fn by_debug<E: Debug + ?Sized>(error: &E) -> Self {
        Self::plain(format!("{error:?}"))
    }

    /// Describes an error by its `Display` alone.
    pub fn by_display<E: Display + ?Sized>(error: &E) -> Self {
        Self::plain(error.to_string())
    }

    pub(crate) fn plain(message: String) -> Self {
        Self { message, causes: Vec::new() }
    }
}
