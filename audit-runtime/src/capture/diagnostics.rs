//! Bounds whose violation advises users.

use serde::Serialize;
use std::borrow::Cow;

/// A value that `#[audited]` captures by default: any `Serialize` type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be captured: it is not `serde::Serialize`",
    label = "not `Serialize`",
    note = "add `#[derive(serde::Serialize)]` to the type, or capture something else",
    note = "for a parameter, write `skip(name)`, `only(?name)` for its `Debug` text, or `only(%name)` for its `Display` text",
    note = "for the return value, write `result = skip`, `result = ?`, `result = %` or `result = |value| ..`",
    note = "for one of `fields(..)`, write `name = ?..` or `name = %..`; for a struct's field, `#[audit(skip)]`, `#[audit(?)]` or `#[audit(%)]`"
)]
pub trait Capture: Serialize {}

// The compiler looks through this implementation, and names a type deep inside that lacks
// `Serialize`.
impl<T: Serialize + ?Sized> Capture for T {}

/// The return type of a late `event` or `err` closure.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event type",
    label = "not a text",
    note = "write a `&'static str`, a `String` or a `Cow<'static, str>`, as in \"order.submitted\""
)]
pub trait EventType {
    /// The text.
    fn into_event_type(self) -> Cow<'static, str>;
}

#[diagnostic::do_not_recommend]
impl EventType for &'static str {
    fn into_event_type(self) -> Cow<'static, str> {
        Cow::Borrowed(self)
    }
}

#[diagnostic::do_not_recommend]
impl EventType for String {
    fn into_event_type(self) -> Cow<'static, str> {
        Cow::Owned(self)
    }
}

#[diagnostic::do_not_recommend]
impl EventType for Cow<'static, str> {
    fn into_event_type(self) -> Cow<'static, str> {
        self
    }
}
