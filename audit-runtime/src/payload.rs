//! An event as the bytes of a journal record: self-contained, so that another process can ship it.
//!
//! ```text
//! version u8 | outcome u8 | present u8 | 0 u8 | data bytes u32 | context bytes u32
//! event type bytes u16 | entity type bytes u16 | actor bytes u16 | origin bytes u16 | 0 u32
//! created_at i64 | duration i64 | id [16] | entity id [16] | correlation id [16] | causation id [16]
//! data | event type | entity type | actor | origin | context
//! ```
//!
//! Integers are little endian, times in microseconds (since 1970, UTC), `data` and `context` JSON (of which some values in `data` are not
//! written out yet: [`data`]), the others UTF-8. `data` comes first, because it is written while the call runs and the others are known
//! at its end.

pub(crate) mod data;

use crate::event::Outcome;
use crate::json::Room;
use std::io::Write;
use uuid::Uuid;

const VERSION: u8 = 1;

const AT_VERSION: usize = 0;
const AT_OUTCOME: usize = AT_VERSION + 1;
const AT_PRESENT: usize = AT_OUTCOME + 1;
const AT_DATA: usize = AT_PRESENT + 2;
const AT_CONTEXT: usize = AT_DATA + 4;
const AT_EVENT_TYPE: usize = AT_CONTEXT + 4;
const AT_ENTITY_TYPE: usize = AT_EVENT_TYPE + 2;
const AT_ACTOR: usize = AT_ENTITY_TYPE + 2;
const AT_ORIGIN: usize = AT_ACTOR + 2;
const AT_CREATED: usize = AT_ORIGIN + 2 + 4;
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
}

/// What is known of an event beside its texts and its data.
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

/// The texts that many events have in common, encoded once.
#[derive(Debug)]
pub(crate) struct EncodedTexts {
    lengths: Lengths,
    bytes: Box<[u8]>,
}

impl From<Texts<'_>> for EncodedTexts {
    fn from(texts: Texts<'_>) -> Self {
        let mut bytes = Vec::new();
        let lengths = put_texts(&mut bytes, texts);
        Self { lengths, bytes: bytes.into() }
    }
}

/// What the header says of the lengths of the texts: two words of it.
type Lengths = [u64; 2];

/// Completes a buffer that begins with [`HEADER`] free bytes and the event's data.
#[inline(always)]
pub(crate) fn complete(buffer: &mut Vec<u8>, facts: Facts, texts: Texts<'_>) {
    let data = buffer.len() - HEADER;
    let lengths = put_texts(buffer, texts);
    put_header(buffer, data, lengths, facts);
}

/// [`complete`], with texts that are encoded already.
#[inline(always)]
pub(crate) fn complete_with(buffer: &mut Vec<u8>, facts: Facts, texts: &EncodedTexts) {
    let data = buffer.len() - HEADER;
    Room::new(buffer, texts.bytes.len()).put(&texts.bytes);
    put_header(buffer, data, texts.lengths, facts);
}

fn put_texts(buffer: &mut Vec<u8>, texts: Texts<'_>) -> Lengths {
    let (event_type, entity_type) = (short(texts.event_type), short(texts.entity_type));
    let (actor, origin, context) = (short(texts.actor), short(texts.origin), texts.context.as_bytes());
    let mut room = Room::new(buffer, event_type.len() + entity_type.len() + actor.len() + origin.len() + context.len());
    room.put(event_type);
    room.put(entity_type);
    room.put(actor);
    room.put(origin);
    room.put(context);
    let length = |text: &[u8]| text.len() as u64;
    [length(context) | length(event_type) << 32 | length(entity_type) << 48, length(actor) | length(origin) << 16]
}

/// Writes the header, in whole words, as the checksum is going to read it: what a processor has just written, it hands on only to a
/// read that is no wider.
#[inline(always)]
fn put_header(buffer: &mut [u8], data: usize, lengths: Lengths, facts: Facts) {
    let Some(header) = buffer.first_chunk_mut::<HEADER>() else {
        return;
    };
    let mut present = if facts.is_personal { IS_PERSONAL } else { 0 };
    let mut id = |bit: u8, id: Option<Uuid>| {
        present |= if id.is_some() { bit } else { 0 };
        id.unwrap_or_default().into_bytes()
    };
    let entity_id = id(HAS_ENTITY_ID, facts.entity_id);
    let correlation_id = id(HAS_CORRELATION, facts.correlation_id);
    let causation_id = id(HAS_CAUSATION, facts.causation_id);
    present |= if facts.duration.is_some() { HAS_DURATION } else { 0 };
    let first = [VERSION, facts.outcome.code(), present, 0].map(u64::from);
    let first = first[0] | first[1] << 8 | first[2] << 16 | u64::from(data as u32) << 32;
    let words = [
        first,
        lengths[0],
        lengths[1],
        facts.created_at.cast_unsigned(),
        facts.duration.unwrap_or_default().cast_unsigned(),
    ];
    header[..AT_ID].copy_from_slice(words.map(u64::to_le_bytes).as_flattened());
    header[AT_ID..AT_ENTITY_ID].copy_from_slice(facts.id.as_bytes());
    header[AT_ENTITY_ID..AT_CORRELATION].copy_from_slice(&entity_id);
    header[AT_CORRELATION..AT_CAUSATION].copy_from_slice(&correlation_id);
    header[AT_CAUSATION..].copy_from_slice(&causation_id);
}

/// Nobody names an actor with 64 KiB; what is cut is cut between two characters.
#[inline]
fn short(text: &str) -> &[u8] {
    let longest = usize::from(u16::MAX);
    let end = if text.len() <= longest { text.len() } else { text.floor_char_boundary(longest) };
    &text.as_bytes()[..end]
}

/// Empties a buffer and leaves room for the header.
#[inline]
pub(crate) fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(HEADER, 0);
}

/// Encodes a whole event.
pub(crate) fn encode(buffer: &mut Vec<u8>, event: &EventRef<'_>) {
    begin(buffer);
    let _ = buffer.write_all(event.data.as_bytes());
    complete(buffer, event.facts(), event.texts());
}

/// When the event of these bytes began, in microseconds, if they are one that this version knows.
pub(crate) fn created_at(bytes: &[u8]) -> Option<i64> {
    let known = bytes.first() == Some(&VERSION);
    bytes.get(AT_CREATED..AT_DURATION).filter(|_| known)?.try_into().ok().map(i64::from_le_bytes)
}

/// The type of the event of these bytes, if they are one that this version knows.
pub(crate) fn event_type(bytes: &[u8]) -> Option<&str> {
    let (header, rest) = bytes.split_at_checked(HEADER).filter(|(header, _)| header[AT_VERSION] == VERSION)?;
    let data = u32::from_le_bytes(*header[AT_DATA..].first_chunk()?);
    let length = u16::from_le_bytes(*header[AT_EVENT_TYPE..].first_chunk()?);
    let (_, texts) = rest.split_at_checked(usize::try_from(data).ok()?)?;
    std::str::from_utf8(texts.get(..length.into())?).ok()
}

/// Whether the event of these bytes holds what has to be encrypted.
pub(crate) fn is_personal(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VERSION) && bytes.get(AT_PRESENT).is_some_and(|present| present & IS_PERSONAL != 0)
}

/// Why a payload is no event this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayloadError {
    #[error("the event is of payload version {0}, this program reads {VERSION}; ship it with a newer version")]
    Version(u8),
    #[error("the event's bytes are not of payload version {VERSION}")]
    Malformed,
}

impl<'a> EventRef<'a> {
    fn facts(&self) -> Facts {
        Facts {
            id: self.id,
            entity_id: self.entity_id,
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

    /// The event of a payload; its data are written to `json`, unless they are JSON already.
    pub(crate) fn decode(bytes: &'a [u8], json: &'a mut Vec<u8>) -> Result<Self, PayloadError> {
        Self::decode_known(bytes, json).ok_or_else(|| match bytes.first() {
            Some(version) if *version > VERSION => PayloadError::Version(*version),
            _ => PayloadError::Malformed,
        })
    }

    fn decode_known(bytes: &'a [u8], json: &'a mut Vec<u8>) -> Option<Self> {
        if *bytes.first()? != VERSION || bytes.len() < HEADER {
            return None;
        }
        let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let array_at = |at: usize| -> Option<[u8; 8]> { bytes.get(at..at + 8)?.try_into().ok() };
        let u32_at = |at: usize| -> Option<usize> {
            usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
        };
        let present = bytes[AT_PRESENT];
        let id_at = |bit: u8, at: usize| -> Option<Uuid> {
            (present & bit != 0).then(|| Uuid::from_slice(&bytes[at..at + 16]).ok()).flatten()
        };
        let mut rest = &bytes[HEADER..];
        let mut part = |length: usize| -> Option<&'a [u8]> {
            let (part, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(part)
        };
        let data = std::str::from_utf8(data::json(part(u32_at(AT_DATA)?)?, json)?).ok()?;
        let mut text = |length: usize| std::str::from_utf8(part(length)?).ok();
        let event_type = text(u16_at(AT_EVENT_TYPE))?;
        let entity_type = text(u16_at(AT_ENTITY_TYPE))?;
        let actor = text(u16_at(AT_ACTOR))?;
        let origin = text(u16_at(AT_ORIGIN))?;
        let context = text(u32_at(AT_CONTEXT)?)?;
        Some(Self {
            id: Uuid::from_slice(&bytes[AT_ID..AT_ENTITY_ID]).ok()?,
            event_type,
            entity_type,
            entity_id: id_at(HAS_ENTITY_ID, AT_ENTITY_ID),
            actor,
            data,
            created_at: i64::from_le_bytes(array_at(AT_CREATED)?),
            outcome: Outcome::from_code(bytes[AT_OUTCOME])?,
            duration: if present & HAS_DURATION == 0 { None } else { Some(i64::from_le_bytes(array_at(AT_DURATION)?)) },
            correlation_id: id_at(HAS_CORRELATION, AT_CORRELATION),
            causation_id: id_at(HAS_CAUSATION, AT_CAUSATION),
            context,
            origin,
            is_personal: present & IS_PERSONAL != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
