//! Bytes that are overwritten when they are dropped.

use std::io::{self, Read};
use zeroize::{Zeroize, Zeroizing};

/// The most bytes of a key's text.
pub(super) const MOST: usize = 16 << 10;

/// Reads all there is, up to a byte more than a key may have.
pub(super) fn read(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // A vector that grew would leave its former memory as it was.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
    let mut source = source.take(MOST as u64 + 1);
    let mut chunk = Zeroizing::new([0; 1024]);
    loop {
        match source.read(&mut *chunk) {
            Ok(0) => return Ok(bytes),
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns the bytes as a text, unless there are too many of them.
pub(super) fn text(mut bytes: Zeroizing<Vec<u8>>) -> Option<Zeroizing<String>> {
    if bytes.len() > MOST {
        return None;
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}
