//! Events that no call records: those that an application makes, and the one that accounts for lost
//! events.

use super::inherited::Inherited;
use super::{Recorder, buffer};
use crate::error::{EventError, RecordError};
use crate::event::{Outcome, Timestamp, clock, ids, is_event_type, reserved};
use crate::record::payload::{self, TARGETS_NOTE};
use crate::record::{Event, EventRef};
use std::time::Duration;
use uuid::Uuid;

/// An event that was recorded, or left out by the policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded {
    pub(crate) id: Uuid,
    /// The logical position behind it, if it was recorded.
    pub(crate) position: Option<u64>,
}

impl Recorder {
    /// Records an event made by hand, unless the policy leaves it out.
    pub(crate) fn record(&self, event: &Event, inherited: &Inherited<'_>) -> Result<Recorded, RecordError> {
        self.recorded(event, inherited, true)
    }

    /// Records an event made by hand, which no rule leaves out.
    pub(crate) fn record_always(&self, event: &Event, inherited: &Inherited<'_>) -> Result<Recorded, RecordError> {
        self.recorded(event, inherited, false)
    }

    fn recorded(&self, event: &Event, inherited: &Inherited<'_>, may_leave_out: bool) -> Result<Recorded, RecordError> {
        check(event)?;
        let mut buffer = buffer::take();
        let id = self.encode(&mut buffer, inherited, event);
        let recorded = self.thin_out(&mut buffer, may_leave_out, inherited.cause_left_out);
        let appended = recorded.map(|taken| self.append(&buffer).inspect_err(|_| self.not_thinned_out(&taken)));
        buffer::put(buffer);
        Ok(Recorded { id, position: appended.transpose()? })
    }

    /// Encodes an event made by hand, which no rule leaves out, and returns its id.
    pub(crate) fn encoded(&self, event: &Event, inherited: &Inherited<'_>) -> Result<(Uuid, Vec<u8>), RecordError> {
        check(event)?;
        let mut buffer = buffer::take();
        let id = self.encode(&mut buffer, inherited, event);
        let _ = self.thin_out(&mut buffer, false, inherited.cause_left_out);
        Ok((id, buffer))
    }

    /// Encodes the event with its inherited values, and returns its id.
    pub(super) fn encode(&self, buffer: &mut Vec<u8>, inherited: &Inherited<'_>, event: &Event) -> Uuid {
        let created_at = event.created_at.and_then(Timestamp::unix_micros).unwrap_or_else(clock::micros_now);
        // The id states the event's time, by which it is found.
        let id = ids::event_id(created_at);
        let data = event.further.overflow().map(|count| spliced(&event.data, &format!("\"{TARGETS_NOTE}\":{count}")));
        let data = match &event.personal {
            Some(personal) => Some(spliced(data.as_deref().unwrap_or(&event.data), personal)),
            None => data,
        };
        let data = self.rules().apply_limits(data.as_deref().unwrap_or(&event.data));
        let context = self.rules().apply_limits(&inherited.attributes);
        let is_personal = event.is_personal || inherited.is_personal;
        let encoded = EventRef {
            id,
            event_type: &event.event_type,
            entity_type: &event.entity_type,
            entity_id: event.entity_id,
            actor: event.actor.as_deref().or(inherited.actor).unwrap_or_else(|| self.actor()),
            data: &data,
            created_at,
            outcome: Outcome::Ok,
            duration: None,
            correlation_id: Some(inherited.correlation_id.unwrap_or(id)),
            causation_id: inherited.causation_id,
            context: &context,
            origin: self.origin(),
            is_personal,
            further: event.further.borrowed(inherited.tenant),
        };
        if is_personal && !self.keeps_personal() {
            encoded.encode_redacted(buffer);
        } else {
            payload::encode(buffer, &encoded);
        }
        id
    }

    /// Records which events were lost, if there are any and none was refused for so long.
    #[cold]
    pub(crate) fn record_lost_events(&self, quiet: Duration) {
        let Some(lost) = self.lost.take(clock::micros_now(), quiet) else {
            return;
        };
        let event = Event::new(reserved::GAP).entity("journal", self.journal.id()).actor("audit");
        self.counters.appending();
        let mut buffer = Vec::new();
        self.encode(&mut buffer, &Inherited::nothing(), &event.data(&lost));
        // The thread that finds the losses to be over is not concerned by them, and does not wait
        // for room. If room is still lacking, nothing further is lost.
        let recorded = self.journal.append_if_room(&buffer);
        if !recorded {
            self.counters.not_appended();
            self.lost.put_back(lost);
        }
    }
}

/// Returns the first mistake in an event.
fn check(event: &Event) -> Result<(), EventError> {
    if !is_event_type(&event.event_type) {
        return Err(EventError::EventType(event.event_type.to_string()));
    }
    if let Some(error) = &event.error {
        return Err(error.clone());
    }
    match event.created_at {
        Some(time) if time.unix_micros().is_none() => Err(EventError::Time(time)),
        _ => Ok(()),
    }
}

/// An object with these fields before its own.
fn spliced(data: &str, fields: &str) -> String {
    match data.strip_prefix('{').map(str::trim_start) {
        Some("}") | None => format!("{{{fields}}}"),
        Some(rest) => format!("{{{fields},{rest}"),
    }
}
