//! Texts of values and of panics.

use std::any::Any;
use std::fmt::{Display, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A value by its `Display`, as text.
pub(crate) fn text<T: Display + ?Sized>(value: &T) -> String {
    let mut text = String::new();
    match catch_unwind(AssertUnwindSafe(|| write!(text, "{value}"))) {
        Ok(Ok(())) => text,
        Ok(Err(_)) => "[its formatting failed]".into(),
        Err(panic) => format!("[its formatting panicked: {}]", panic_message(panic.as_ref())),
    }
}

/// Returns the message of a panic, if that is a text.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic_text(panic).unwrap_or("with a value other than a text")
}
