//! A batch and the keys of its personal values, as bytes that may be stored after years.
//!
//! ```text
//! batch with keys = keys u32 | key * keys | the batch (batch.rs)
//! key             = bytes u32 | id [16] | bytes u32 | subject | bytes u32 | wrapped
//! ```
//!
//! Personal values are encrypted by the keys of their subjects. A database that went back may lack a
//! key that was made since. So the wrapped keys lie beside the values.

#[cfg(feature = "nats")]
use super::message::Question;
use super::parts::{Parts, push};
#[cfg(feature = "nats")]
use crate::journal::Cut;
use crate::privacy::WrappedKey;
use crate::writer::Settings;
use crate::writer::batch::Batch;
use crate::writer::chain::Chain;
use std::io;
use uuid::Uuid;

/// Returns a closed batch as bytes, with the keys of its personal values.
pub(crate) fn encode_with_keys(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(batch.bytes + 8 * batch.rows.len() + 1_024);
    bytes.extend_from_slice(&(batch.keys.len() as u32).to_le_bytes());
    for key in &batch.keys {
        // A subject has 1,000 bytes at most, and a wrapped key 72.
        [&key.id.as_bytes()[..], key.subject.as_bytes(), &key.wrapped]
            .into_iter()
            .for_each(|part| push(&mut bytes, part));
    }
    bytes.extend_from_slice(&super::encode(batch));
    bytes
}

/// Reads such a batch, seals it again, and returns it with its keys.
///
/// # Errors
/// The bytes are no such batch, or one with another root than they say.
pub(crate) fn decode_with_keys(
    bytes: &[u8],
    journal: Uuid,
    settings: &Settings,
) -> io::Result<(Batch, Vec<WrappedKey>)> {
    let (keys, batch) =
        keys(bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is no batch with its keys"))?;
    Ok((super::decode(batch, journal, settings, &mut Chain::behind(None))?, keys))
}

/// Reads the keys, and returns them and the bytes behind them.
fn keys(bytes: &[u8]) -> Option<(Vec<WrappedKey>, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let (mut keys, mut parts) = (Vec::new(), Parts(rest));
    let mut part = || parts.next()?.ok();
    for _ in 0..u32::from_le_bytes(*count) {
        let id = Uuid::from_slice(part()?).ok()?;
        let subject = String::from_utf8(part()?.to_vec()).ok()?;
        keys.push(WrappedKey { subject, id, wrapped: part()?.to_vec() });
    }
    Some((keys, parts.0))
}

/// Returns the journal, the position and the origin of the batch in a question's body.
#[cfg(feature = "nats")]
pub(crate) fn key_of(question: &Question, body: &[u8]) -> Option<(Uuid, u64, String)> {
    let Question::Store { journal, .. } = question else { return None };
    let cut = Parts(keys(body)?.1).next()?.ok().and_then(Cut::decode_entry)?;
    Some((*journal, cut.first, cut.origin))
}
