//! An event as the bytes of a journal record: self-contained, so that another process can ship it.
//!
//! ```text
//! version u8 | outcome u8 | present u8 | 0 u8 | data bytes u32 | context bytes u32
//! event type bytes u16 | entity type bytes u16 | actor bytes u16 | origin bytes u16 | further bytes u32
//! created_at i64 | duration i64 | id [16] | entity id [16] | correlation id [16] | causation id [16]
//! data | event type | entity type | actor | origin | context | further
//! ```
//!
//! Integers are little endian, and times are in microseconds (since 1970, UTC). `data` and
//! `context` are JSON, and the others UTF-8. Some values in `data` are not written out yet: see
//! [`data`]. `data` comes first, because it is written while the call runs and the others are known
//! at its end.
//! [`further`] contains the parts that few events have. Version 1 had no such section, and 0 in the
//! place of its length.

mod decode;
mod encode;
mod further;

#[cfg(any(test, feature = "postgres"))]
pub(crate) use decode::PayloadError;
#[cfg(feature = "postgres")]
pub(crate) use decode::has_further;
pub(crate) use decode::{created_at, event_type, is_personal};
pub(crate) use encode::{EncodedTexts, add_further, begin, complete, complete_with, encode};
pub(crate) use further::{Further, FurtherRef, TARGETS_NOTE};

use crate::event::Outcome;
use uuid::Uuid;

/// The version of this form, which the journal's files name, too.
pub(crate) const VERSION: u8 = 2;
/// The oldest version that is read.
const OLDEST: u8 = 1;

const AT_VERSION: usize = 0;
const AT_OUTCOME: usize = AT_VERSION + 1;
const AT_PRESENT: usize = AT_OUTCOME + 1;
const AT_DATA: usize = AT_PRESENT + 2;
const AT_CONTEXT: usize = AT_DATA + 4;
const AT_EVENT_TYPE: usize = AT_CONTEXT + 4;
const AT_ENTITY_TYPE: usize = AT_EVENT_TYPE + 2;
const AT_ACTOR: usize = AT_ENTITY_TYPE + 2;
const AT_ORIGIN: usize = AT_ACTOR + 2;
const AT_FURTHER: usize = AT_ORIGIN + 2;
const AT_CREATED: usize = AT_FURTHER + 4;
const AT_DURATION: usize = AT_CREATED + 8;
const AT_ID: usize = AT_DURATION + 8;
const AT_ENTITY_ID: usize = AT_ID + 16;
const AT_CORRELATION: usize = AT_ENTITY_ID + 16;
const AT_CAUSATION: usize = AT_CORRELATION + 16;
/// Where `data` begins.
pub(crate) const HEADER: usize = AT_CAUSATION + 16;

const HAS_ENTITY_ID: u8 = 1;
const HAS_DURATION: u8 = 2;
const HAS_CORRELATION: u8 = 4;
const HAS_CAUSATION: u8 = 8;
const IS_PERSONAL: u8 = 16;

/// An event that borrows its parts: what is encoded, and what a record decodes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventRef<'a> {
    pub(crate) id: Uuid,
    pub(crate) event_type: &'a str,
    pub(crate) entity_type: &'a str,
    pub(crate) entity_id: Option<Uuid>,
    pub(crate) actor: &'a str,
    /// JSON.
    pub(crate) data: &'a str,
    /// Microseconds since 1970.
    pub(crate) created_at: i64,
    pub(crate) outcome: Outcome,
    /// Microseconds.
    pub(crate) duration: Option<i64>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    /// JSON, or empty.
    pub(crate) context: &'a str,
    pub(crate) origin: &'a str,
    /// Its data hold what has to be encrypted.
    pub(crate) is_personal: bool,
    pub(crate) further: FurtherRef<'a>,
}

/// The parts of an event beside its texts and its data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) id: Uuid,
    pub(crate) entity_id: Option<Uuid>,
    /// Microseconds since 1970.
    pub(crate) created_at: i64,
    pub(crate) outcome: Outcome,
    /// Microseconds.
    pub(crate) duration: Option<i64>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) is_personal: bool,
}

/// An event's texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) event_type: &'a str,
    pub(crate) entity_type: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) origin: &'a str,
    /// JSON, or empty.
    pub(crate) context: &'a str,
}

impl<'a> EventRef<'a> {
    fn facts(&self) -> Facts {
        Facts {
            id: self.id,
            // The id of a key is computed by the reader.
            entity_id: self.entity_id.filter(|_| self.further.entity_key.is_none()),
            created_at: self.created_at,
            outcome: self.outcome,
            duration: self.duration,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            is_personal: self.is_personal,
        }
    }

    fn texts(&self) -> Texts<'a> {
        let Self { event_type, entity_type, actor, origin, context, .. } = *self;
        Texts { event_type, entity_type, actor, origin, context }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EntityRef, named};

    fn event() -> EventRef<'static> {
        EventRef {
            id: Uuid::from_u128(1),
            event_type: "order.submitted",
            entity_type: "order",
            entity_id: Some(Uuid::from_u128(2)),
            actor: "broker_service",
            data: r#"{"ticker":"ÄÖÜ"}"#,
            created_at: -5,
            outcome: Outcome::Cancelled,
            duration: Some(0),
            correlation_id: Some(Uuid::from_u128(3)),
            causation_id: None,
            context: r#"{"tenant":"acme"}"#,
            origin: "broker@host:1",
            is_personal: false,
            further: FurtherRef::default(),
        }
    }

    /// As the program of version 1 wrote it.
    fn of_version_1(event: &EventRef<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, event);
        bytes[0] = 1;
        bytes
    }

    #[test]
    fn an_event_of_version_1_is_read_and_its_zeros_are_no_length() {
        let mut bytes = of_version_1(&event());
        assert_eq!(EventRef::decode(&bytes, &mut Vec::new()), Ok(event()));
        assert_eq!(created_at(&bytes), Some(-5));
        bytes[AT_FURTHER] = 9;
        assert_eq!(EventRef::decode(&bytes, &mut Vec::new()), Ok(event()));
    }

    #[test]
    fn a_key_reads_back_with_its_id_whatever_is_written_again() {
        let mut further = Further::default();
        further.set_entity(EntityRef::Text("42"));
        further.set_tenant(EntityRef::Text("acme"));
        let keyed = EventRef { entity_id: Some(named("order", "42")), further: further.borrowed(None), ..event() };
        let (mut bytes, mut again) = (Vec::new(), Vec::new());
        encode(&mut bytes, &keyed);
        let mut json = Vec::new();
        let decoded = EventRef::decode(&bytes, &mut json).unwrap();
        assert_eq!(decoded, keyed);
        encode(&mut again, &decoded);
        assert_eq!(bytes, again);
        for length in 0..bytes.len() {
            assert!(EventRef::decode(&bytes[..length], &mut Vec::new()).is_err(), "{length}");
        }
    }

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let mut bytes = Vec::new();
        for event in [
            event(),
            EventRef {
                entity_id: None,
                duration: None,
                correlation_id: None,
                context: "",
                is_personal: true,
                ..event()
            },
        ] {
            encode(&mut bytes, &event);
            assert_eq!(EventRef::decode(&bytes, &mut Vec::new()), Ok(event));
            assert_eq!(is_personal(&bytes), event.is_personal);
            assert_eq!(event_type(&bytes), Some(event.event_type));
        }
    }

    #[test]
    fn texts_encoded_once_are_those_of_every_event() {
        let event = EventRef { outcome: Outcome::Ok, context: "", ..event() };
        let texts = EncodedTexts::from(event.texts());
        for data in [event.data, "{}"] {
            let mut bytes = Vec::new();
            begin(&mut bytes);
            bytes.extend_from_slice(data.as_bytes());
            complete_with(&mut bytes, event.facts(), &texts);
            assert_eq!(EventRef::decode(&bytes, &mut Vec::new()), Ok(EventRef { data, ..event }));
        }
    }

    #[test]
    fn no_truncation_panics_or_decodes() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &event());
        for length in 0..bytes.len() {
            assert!(EventRef::decode(&bytes[..length], &mut Vec::new()).is_err(), "{length}");
            assert!(event_type(&bytes[..length]).is_none_or(|known| known == event().event_type), "{length}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &event());
        bytes[0] = 9;
        assert_eq!(EventRef::decode(&bytes, &mut Vec::new()), Err(PayloadError::Version(9)));
    }

    #[test]
    fn an_endless_actor_is_cut_between_two_characters() {
        let actor = "ä".repeat(50_000);
        let mut bytes = Vec::new();
        encode(&mut bytes, &EventRef { actor: &actor, ..event() });
        let mut json = Vec::new();
        let decoded = EventRef::decode(&bytes, &mut json).unwrap();
        assert_eq!(decoded.actor, "ä".repeat(32_767));
        assert_eq!(decoded.context, event().context);
    }
}
