//! Wrapped keys as bytes.
//!
//! ```text
//! keys   = number u32 | key * number
//! key    = bytes u32 | id [16] | bytes u32 | subject | bytes u32 | wrapped
//! ```
//!
//! Integers are little endian.

use super::key_keeper::WrappedKey;
use uuid::Uuid;

/// Returns keys as bytes.
pub(crate) fn encode_keys(keys: &[WrappedKey]) -> Vec<u8> {
    let mut bytes = (keys.len() as u32).to_le_bytes().to_vec();
    for key in keys {
        // A subject has 1,000 bytes at most, and a wrapped key 72.
        for part in [&key.id.as_bytes()[..], key.subject.as_bytes(), &key.wrapped] {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// Reads keys, and returns them and the bytes behind them.
pub(crate) fn split_keys(bytes: &[u8]) -> Option<(Vec<WrappedKey>, &[u8])> {
    let (number, mut rest) = bytes.split_first_chunk()?;
    let mut part = || {
        let (length, behind) = rest.split_first_chunk()?;
        let (part, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind;
        Some(part)
    };
    let mut keys = Vec::new();
    for _ in 0..u32::from_le_bytes(*number) {
        let id = Uuid::from_slice(part()?).ok()?;
        let subject = String::from_utf8(part()?.to_vec()).ok()?;
        keys.push(WrappedKey { subject, id, wrapped: part()?.to_vec() });
    }
    Some((keys, rest))
}
