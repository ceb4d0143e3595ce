//! Bytes in parts, each behind its length.
//!
//! ```text
//! part   = bytes u32, little endian | bytes
//! ```

use std::io;

/// Adds a part. Its sender and its keeper refuse one that is longer than a u32 can say.
pub(crate) fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
    bytes.extend_from_slice(part);
}

/// The parts of bytes, in their order.
pub(crate) struct Parts<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = io::Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.0.split_first_chunk().and_then(|(length, rest)| {
            let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            self.0 = rest;
            Some(part)
        });
        if part.is_none() {
            self.0 = &[];
        }
        Some(part.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the batch ends too early")))
    }
}
