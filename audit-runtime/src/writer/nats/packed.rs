//! Batches as they lie in the stream: compressed.

use std::io::{self, Read};

/// The level of zstd: the fastest of its usual ones halves a batch.
const LEVEL: i32 = 1;
/// The most bytes that a message unpacks to.
const LONGEST: u64 = 64 << 20;

/// Compresses a batch.
///
/// # Errors
/// The memory does not suffice.
pub(crate) fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::encode_all(bytes, LEVEL)
}

/// Reads a batch that was compressed.
///
/// # Errors
/// The bytes are no such batch, or unpack to more than 64 MiB.
pub(crate) fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    zstd::Decoder::new(bytes)?.take(LONGEST + 1).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message unpacks to more than 64 MiB"));
    }
    Ok(unpacked)
}

/// Packs the header and the body of an answer into one body.
///
/// # Errors
/// The memory does not suffice.
pub(crate) fn pack_answer(header: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    pack(&[&length.to_le_bytes(), header.as_bytes(), body].concat())
}

/// Reads the header and the body of an answer that was packed.
///
/// # Errors
/// The bytes are no such answer, or unpack to more than 64 MiB.
pub(crate) fn unpack_answer(bytes: &[u8]) -> io::Result<(String, Vec<u8>)> {
    let unpacked = unpack(bytes)?;
    let parts = unpacked.split_first_chunk().and_then(|(length, rest)| {
        let (header, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        Some((String::from_utf8(header.to_vec()).ok()?, body.to_vec()))
    });
    parts.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "invalid answer in a message of NATS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_unpacks_and_a_bomb_does_not() {
        let batch = b"batch".repeat(1_000);
        let packed = pack(&batch).unwrap();
        assert!(packed.len() < 200);
        assert_eq!(unpack(&packed).unwrap(), batch);
        assert!(unpack(&packed[..packed.len() - 1]).is_err() && unpack(b"batch").is_err());
        let bomb = pack(&vec![0; (LONGEST + 1) as usize]).unwrap();
        assert!(unpack(&bomb).unwrap_err().to_string().contains("more than 64 MiB"));
    }
}
