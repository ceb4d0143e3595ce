//! Looking into a journal without taking it.

use super::directory::segments_in;
use super::format::HEADER;
use super::scan::{scan, segment_bytes};
use std::io;
use std::path::Path;
use uuid::Uuid;

/// Hands each intact record of a journal to `each`, with its position. Returns the bytes of the
/// segments, as far as they are written to.
///
/// # Errors
/// A segment cannot be read.
pub(crate) fn visit(journal: Uuid, path: &Path, mut each: impl FnMut(u64, &[u8])) -> io::Result<u64> {
    let mut written = 0;
    for (base, segment) in segments_in(path)? {
        let bytes = match segment_bytes(&segment) {
            Ok(bytes) => bytes,
            // Shipped and removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut end = HEADER as u64;
        for record in scan(&bytes, journal, base) {
            end = record.end - base;
            each(record.start, record.payload());
        }
        written += end;
    }
    Ok(written)
}
