//! Late arguments, which are closures over what a call returned, and event types that are known
//! only then.

use crate::capture::diagnostics::EventType;
use std::borrow::Cow;

/// A late event type. Where assertions are on, one that is malformed is noticed: it is data, like
/// any panic of a capture.
pub(super) fn known_event_type(event: impl EventType) -> Cow<'static, str> {
    let event = event.into_event_type();
    debug_assert!(
        crate::event::is_event_type(&event),
        "invalid event type {event:?}: expected noun.verb in lower case, of at most 128 bytes"
    );
    event
}

/// Applies a late closure, and fixes the type of its parameter.
///
/// Users need not write the type.
pub fn late<V, R>(value: V, closure: impl FnOnce(V) -> R) -> R {
    closure(value)
}

/// Applies a late closure that returns a condition.
///
/// The compiler's errors about its value point inside the closure.
pub fn late_condition<V>(value: V, closure: impl FnOnce(V) -> bool) -> bool {
    closure(value)
}

/// Fails the compilation if a constant is not an event type.
///
/// # Panics
/// Never at run time: it is called in constants.
#[must_use]
pub const fn checked_event_type(text: &'static str) -> &'static str {
    assert!(
        crate::event::is_event_type(text),
        "this constant is not an event type; write `noun.verb` in lower case, as in \"order.submitted\", at most 128 bytes"
    );
    text
}
