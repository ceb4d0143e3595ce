//! What may stand where, as bounds whose violation tells users what to do.

use serde::Serialize;
use std::borrow::Cow;

/// What `#[audited]` captures by default: anything that is `Serialize`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be captured: it is not `serde::Serialize`",
    label = "not `Serialize`",
    note = "derive `serde::Serialize` for the type, or say what to capture instead: leave a parameter out with `skip(name)`, take its \
            `Debug` or `Display` text with `only(?name)` or `only(%name)`; for the return value write `result = skip`, `result = ?`, \
            `result = %` or `result = |value| ..`; for a field, `name = ?expression` or `name = %expression`"
)]
pub trait Capture: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Capture for T {}

/// What a late `event` or `err` gives.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event type",
    label = "not a text",
    note = "give a `&'static str`, a `String`, or a `Cow<'static, str>` of the form noun.verb"
)]
pub trait EventType {
    /// The text.
    fn into_event_type(self) -> Cow<'static, str>;
}

impl EventType for &'static str {
    fn into_event_type(self) -> Cow<'static, str> {
        Cow::Borrowed(self)
    }
}

impl EventType for String {
    fn into_event_type(self) -> Cow<'static, str> {
        Cow::Owned(self)
    }
}

impl EventType for Cow<'static, str> {
    fn into_event_type(self) -> Cow<'static, str> {
        self
    }
}
