//! From bytes to an event.

use super::{
    AT_ACTOR, AT_CAUSATION, AT_CONTEXT, AT_CORRELATION, AT_CREATED, AT_DATA, AT_DURATION, AT_ENTITY_ID, AT_ENTITY_TYPE,
    AT_EVENT_TYPE, AT_FURTHER, AT_ID, AT_ORIGIN, AT_OUTCOME, AT_PRESENT, AT_VERSION, EventRef, FurtherRef,
    HAS_CAUSATION, HAS_CORRELATION, HAS_DURATION, HAS_ENTITY_ID, HEADER, IS_PERSONAL, OLDEST, VERSION,
};
use crate::capture::nul::without_nul;
use crate::capture::raw;
use crate::event::{Outcome, named};
use uuid::Uuid;

/// Whether these bytes are of a version that this program reads.
fn is_known(bytes: &[u8]) -> bool {
    bytes.get(AT_VERSION).is_some_and(|version| (OLDEST..=VERSION).contains(version))
}

/// When the event of these bytes began, in microseconds, if they are one that this version knows.
pub(crate) fn created_at(bytes: &[u8]) -> Option<i64> {
    bytes.get(AT_CREATED..AT_DURATION).filter(|_| is_known(bytes))?.try_into().ok().map(i64::from_le_bytes)
}

/// The type of the event of these bytes, if they are one that this version knows.
pub(crate) fn event_type(bytes: &[u8]) -> Option<&str> {
    let (header, rest) = bytes.split_at_checked(HEADER).filter(|(header, _)| is_known(header))?;
    let data = u32::from_le_bytes(*header[AT_DATA..].first_chunk()?);
    let length = u16::from_le_bytes(*header[AT_EVENT_TYPE..].first_chunk()?);
    let (_, texts) = rest.split_at_checked(usize::try_from(data).ok()?)?;
    std::str::from_utf8(texts.get(..length.into())?).ok()
}

/// Whether the event of these bytes holds what has to be encrypted.
pub(crate) fn is_personal(bytes: &[u8]) -> bool {
    is_known(bytes) && bytes.get(AT_PRESENT).is_some_and(|present| present & IS_PERSONAL != 0)
}

/// Whether the event of these bytes has a key, a tenant or further entities.
#[cfg(feature = "postgres")]
pub(crate) fn has_further(bytes: &[u8]) -> bool {
    is_known(bytes) && bytes.get(..HEADER).is_some_and(|header| further_bytes(header) != Some(0))
}

/// The length of the section behind the texts, which version 1 did not have.
fn further_bytes(header: &[u8]) -> Option<usize> {
    if header[AT_VERSION] == OLDEST {
        return Some(0);
    }
    usize::try_from(u32::from_le_bytes(*header[AT_FURTHER..].first_chunk()?)).ok()
}

/// The reason why this version cannot read a payload as an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayloadError {
    #[error(
        "the event is of payload version {0}, this program reads {OLDEST} to {VERSION}; ship it with a newer version"
    )]
    Version(u8),
    #[error("the event's bytes are not of a payload version from {OLDEST} to {VERSION}")]
    Malformed,
}

impl<'a> EventRef<'a> {
    /// The event of a payload. Its data are written to `json`, unless they are JSON already.
    pub(crate) fn decode(bytes: &'a [u8], json: &'a mut Vec<u8>) -> Result<Self, PayloadError> {
        Self::decode_known(bytes, json).ok_or_else(|| match bytes.first() {
            Some(version) if *version > VERSION => PayloadError::Version(*version),
            _ => PayloadError::Malformed,
        })
    }

    fn decode_known(bytes: &'a [u8], json: &'a mut Vec<u8>) -> Option<Self> {
        if !is_known(bytes) || bytes.len() < HEADER {
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
        let data = std::str::from_utf8(raw::json(part(u32_at(AT_DATA)?)?, json)?).ok()?;
        let mut text = |length: usize| std::str::from_utf8(part(length)?).ok();
        let event_type = text(u16_at(AT_EVENT_TYPE))?;
        let entity_type = text(u16_at(AT_ENTITY_TYPE))?;
        let actor = text(u16_at(AT_ACTOR))?;
        let origin = text(u16_at(AT_ORIGIN))?;
        let context = text(u32_at(AT_CONTEXT)?)?;
        let further = FurtherRef::decode(part(further_bytes(bytes)?)?)?;
        let of_key = further.entity_key.map(|key| named(&without_nul(entity_type), key));
        Some(Self {
            id: Uuid::from_slice(&bytes[AT_ID..AT_ENTITY_ID]).ok()?,
            event_type,
            entity_type,
            entity_id: of_key.or_else(|| id_at(HAS_ENTITY_ID, AT_ENTITY_ID)),
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
            further,
        })
    }
}
