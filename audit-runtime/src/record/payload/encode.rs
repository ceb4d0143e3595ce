//! From an event to its bytes.

use super::{
    AT_CAUSATION, AT_CORRELATION, AT_ENTITY_ID, AT_FURTHER, AT_ID, EventRef, Facts, FurtherRef, HAS_CAUSATION,
    HAS_CORRELATION, HAS_DURATION, HAS_ENTITY_ID, HEADER, IS_PERSONAL, Texts, VERSION,
};
use crate::capture::json::ReservedBuf;
use std::io::Write;
use uuid::Uuid;

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

/// The part of the header that contains the lengths of the texts: two words.
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
    ReservedBuf::new(buffer, texts.bytes.len()).put(&texts.bytes);
    put_header(buffer, data, texts.lengths, facts);
}

/// Appends the section that few events have to a record that is complete without it.
pub(crate) fn add_further(buffer: &mut Vec<u8>, further: &FurtherRef<'_>) {
    let length = further.encode(buffer) as u32;
    if let Some(place) = buffer.get_mut(AT_FURTHER..AT_FURTHER + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

fn put_texts(buffer: &mut Vec<u8>, texts: Texts<'_>) -> Lengths {
    let (event_type, entity_type) = (short(texts.event_type), short(texts.entity_type));
    let (actor, origin, context) = (short(texts.actor), short(texts.origin), texts.context.as_bytes());
    let mut room =
        ReservedBuf::new(buffer, event_type.len() + entity_type.len() + actor.len() + origin.len() + context.len());
    room.put(event_type);
    room.put(entity_type);
    room.put(actor);
    room.put(origin);
    room.put(context);
    let length = |text: &[u8]| text.len() as u64;
    [length(context) | length(event_type) << 32 | length(entity_type) << 48, length(actor) | length(origin) << 16]
}

/// Writes the header in whole words, as the checksum will read it. A processor forwards a fresh
/// store only to a read of at most its width.
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

/// Actors are never that long. A text over 64 KiB is cut between two characters.
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
    add_further(buffer, &event.further);
}
