//! What the code that `#[derive(AuditEvent)]` expands to calls: the data of an event, field by field.

use crate::bounds::{Capture, EventType};
use crate::capture::{Fields, Rules};
use crate::event::{Event, IntoEntityId};
use crate::mask::REDACTED;
use std::borrow::Cow;
use std::fmt::{Debug, Display};

/// The data of an event that is not recorded yet: what its handle says of limits and secrets is applied then.
#[derive(Debug)]
pub struct EventData(Fields);

impl Default for EventData {
    fn default() -> Self {
        Self::new()
    }
}

impl EventData {
    /// No data yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Fields::new(Vec::new()))
    }

    /// Captures a value by serde.
    pub fn serialize<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.0.serialize(Rules::UNBOUND, name, value);
    }

    /// Captures a value by its `Display`.
    pub fn display<T: Display + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.0.display(Rules::UNBOUND, name, value);
    }

    /// Captures a value by its `Debug`.
    pub fn debug<T: Debug + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.0.debug(Rules::UNBOUND, name, value);
    }

    /// Says that there was a value, and not which.
    pub fn redacted(&mut self, name: &'static str) {
        self.serialize(name, REDACTED);
    }

    /// The event.
    pub fn event<I: IntoEntityId + ?Sized>(
        self,
        event_type: impl EventType,
        entity_type: impl Into<Cow<'static, str>>,
        id: &I,
    ) -> Event {
        let mut event = Event::new(event_type.into_event_type()).entity(entity_type, id);
        // The object was written by `serde_json`, which writes UTF-8.
        event.data = String::from_utf8_lossy(&self.0.end()).into_owned();
        event
    }
}
