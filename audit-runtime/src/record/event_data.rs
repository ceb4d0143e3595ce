//! The data of an event, field by field: the code that `#[derive(AuditEvent)]` expands to calls
//! this.

use super::event::Event;
use crate::capture::diagnostics::{Capture, EventType};
use crate::capture::mask::REDACTED;
use crate::capture::personal::SUBJECT;
use crate::capture::{Fields, Next, Rules};
use crate::event::IntoEntityId;
use std::borrow::Cow;
use std::fmt::{Debug, Display};

/// The data of an event that is not recorded yet.
///
/// Its handle's limits and secrets are applied when it is recorded.
#[derive(Debug)]
pub struct EventData {
    fields: Fields,
    is_personal: bool,
}

impl Default for EventData {
    fn default() -> Self {
        Self::new()
    }
}

impl EventData {
    /// Creates empty data.
    #[must_use]
    pub fn new() -> Self {
        Self { fields: Fields::new(Vec::new()), is_personal: false }
    }

    /// Sets the subject to whom the personal values belong.
    pub fn subject<T: Display + ?Sized>(&mut self, subject: &T) {
        self.fields.display(Rules::UNBOUND, SUBJECT, subject);
        self.is_personal = true;
    }

    /// Marks the next value as personal.
    pub fn personal(&mut self) -> &mut Self {
        self.fields.next(Next::Personal);
        self
    }

    /// Captures a value by serde.
    pub fn serialize<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.fields.serialize(Rules::UNBOUND, name, value);
    }

    /// Captures a value by its `Display`.
    pub fn display<T: Display + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.fields.display(Rules::UNBOUND, name, value);
    }

    /// Captures a value by its `Debug`.
    pub fn debug<T: Debug + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.fields.debug(Rules::UNBOUND, name, value);
    }

    /// Records that there was a value, and not which.
    pub fn redacted(&mut self, name: &'static str) {
        self.serialize(name, REDACTED);
    }

    /// Returns the event.
    pub fn event<I: IntoEntityId + ?Sized>(
        mut self,
        event_type: impl EventType,
        entity_type: impl Into<Cow<'static, str>>,
        id: &I,
    ) -> Event {
        let mut event = Event::new(event_type.into_event_type()).entity(entity_type, id);
        // The object was written by `serde_json`, which writes UTF-8.
        event.data = String::from_utf8_lossy(self.fields.end()).into_owned();
        event.is_personal = self.is_personal;
        event
    }
}
