//! A batch and the keys of its personal values, as bytes that may be stored after years.
//!
//! ```text
//! batch with keys = keys (privacy/key_bytes.rs) | the batch (batch.rs)
//! ```
//!
//! Personal values are encrypted by the keys of their subjects. A database that went back may lack a
//! key that was made since. So the wrapped keys lie beside the values.

#[cfg(feature = "nats")]
use super::message::Question;
#[cfg(feature = "nats")]
use super::parts::Parts;
#[cfg(feature = "nats")]
use crate::journal::Cut;
use crate::privacy::{WrappedKey, encode_keys, split_keys};
use crate::writer::Settings;
use crate::writer::batch::Batch;
use crate::writer::chain::Chain;
use std::io;
use uuid::Uuid;

/// Returns a closed batch as bytes, with the keys of its personal values.
pub(crate) fn encode_with_keys(batch: &Batch) -> Vec<u8> {
    let mut bytes = encode_keys(&batch.keys);
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
        split_keys(bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is no batch with its keys"))?;
    Ok((super::decode(batch, journal, settings, &mut Chain::behind(None))?, keys))
}

/// Returns the journal, the position and the origin of the batch in a question's body.
#[cfg(feature = "nats")]
pub(crate) fn key_of(question: &Question, body: &[u8]) -> Option<(Uuid, u64, String)> {
    let Question::Store { journal, .. } = question else { return None };
    let cut = Parts(split_keys(body)?.1).next()?.ok().and_then(Cut::decode_entry)?;
    Some((*journal, cut.first, cut.origin))
}
