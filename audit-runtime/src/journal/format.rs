//! The bytes of a segment file: every offset, each computed from the one before.
//!
//! ```text
//! segment  = header (64 bytes) (record | pad, free bytes up to the next block)*
//! header   = magic [8] | major u16 | minor u16 | header bytes u32 | journal id [16]
//!          | base u64 | segment bytes u64 | payload version u16 | reserved [10] | crc32c u32 of all before it
//! record   = word u32 | checksum u32 | payload | zeros up to a multiple of 8
//! word     = 0 free | length, top bit set: claimed | length: published | 0x7fff_ffff: pad
//!          | length, second bit set: void, in memory alone
//! ```
//!
//! A segment's file may be shorter than the segment. It grows as claims need it, and ends where the
//! journal continued with the next segment. The last record of one is never cut off.
//!
//! Major 1 (until version 0.1) had files of the segment's whole size and no payload version, which
//! was 1. It is read as it was. Its programs leave journals of major 2 as they are.
//!
//! All integers are little endian. A record's checksum ([`checksum`](super::checksum)) covers
//! payload, journal, logical position and length. So it is valid in its own place only. An image of
//! it elsewhere (inside another payload, in a segment of another journal) is not mistaken for a
//! record. The journal's id is random, so the author of a payload cannot make up such an image.

use std::fmt;
use uuid::Uuid;

pub(crate) const MAGIC: [u8; 8] = *b"AUDITJNL";
/// A reader refuses a journal with a newer major version.
pub(crate) const MAJOR: u16 = 2;
/// A reader accepts any minor version.
pub(crate) const MINOR: u16 = 0;

/// The newest version of payloads that this program reads and writes. A program that does not know
/// a record's version cannot detect its personal data either, and so leaves the journal as it is.
pub(crate) const PAYLOAD_VERSION: u16 = 2;

const AT_MAGIC: usize = 0;
const AT_MAJOR: usize = AT_MAGIC + 8;
const AT_MINOR: usize = AT_MAJOR + 2;
const AT_HEADER_BYTES: usize = AT_MINOR + 2;
const AT_JOURNAL: usize = AT_HEADER_BYTES + 4;
const AT_BASE: usize = AT_JOURNAL + 16;
const AT_SEGMENT_BYTES: usize = AT_BASE + 8;
const AT_PAYLOAD_VERSION: usize = AT_SEGMENT_BYTES + 8;
const AT_RESERVED: usize = AT_PAYLOAD_VERSION + 2;
const AT_CRC: usize = AT_RESERVED + 10;
/// Bytes before a segment's first record.
pub(crate) const HEADER: usize = AT_CRC + 4;

/// Bytes before a record's payload: the commit word and the checksum.
pub(crate) const RECORD_HEADER: usize = 8;
/// Records begin at multiples of this.
pub(crate) const ALIGN: usize = 8;

pub(crate) const FREE: u32 = 0;
pub(crate) const CLAIMED: u32 = 1 << 31;
/// Published in place of a record: the rest of the block is unused.
pub(crate) const PAD: u32 = CLAIMED - 1;
/// Set beside the length of a record that the file did not take: it is passed over.
pub(crate) const VOID: u32 = 1 << 30;

/// Bytes that are claimed at once, for many records, and never more than a segment has. A power of
/// two.
#[cfg(not(audit_loom))]
pub(crate) const BLOCK: u64 = 16 << 10;
/// Smaller under loom: a block holds four of the model's records behind a header.
#[cfg(audit_loom)]
pub(crate) const BLOCK: u64 = 128;

/// Returns whether a record with such a payload may stand at an offset: one that exceeds its block
/// begins it.
///
/// A scan of damage checks this first. A checksum over whatever length the bytes there encode would
/// take minutes, in a segment of 16 MiB.
pub(crate) const fn may_stand(offset: usize, payload: usize) -> bool {
    let in_block = offset & (BLOCK as usize - 1);
    in_block == 0 || offset == HEADER || in_block + record_bytes(payload) <= BLOCK as usize
}

/// The bytes a record with this payload takes in the journal.
pub(crate) const fn record_bytes(payload: usize) -> usize {
    (RECORD_HEADER + payload).next_multiple_of(ALIGN)
}

/// The first 64 bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) journal: Uuid,
    /// Logical position of the segment's first byte.
    pub(crate) base: u64,
    pub(crate) segment_bytes: u64,
    /// The version of its records' payloads, of which the journal knows no more.
    pub(crate) payload_version: u16,
}

/// Why the first bytes of a file are not a segment header that this version reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Nothing was written: the process died while it made the segment.
    Empty,
    Damaged,
    NewerMajor(u16),
    NewerPayload(u16),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no segment header was written"),
            Self::Damaged => f.write_str("the segment header is damaged"),
            Self::NewerMajor(major) => write!(
                f,
                "the segment is of journal format {major}, this program reads 1 to {MAJOR}; ship it with the version that wrote it or a newer one"
            ),
            Self::NewerPayload(version) => write!(
                f,
                "the segment's events are of version {version}, this program reads 1 to {PAYLOAD_VERSION}; ship it with the version that wrote it or a newer one"
            ),
        }
    }
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[AT_MAGIC..AT_MAJOR].copy_from_slice(&MAGIC);
        bytes[AT_MAJOR..AT_MINOR].copy_from_slice(&MAJOR.to_le_bytes());
        bytes[AT_MINOR..AT_HEADER_BYTES].copy_from_slice(&MINOR.to_le_bytes());
        bytes[AT_HEADER_BYTES..AT_JOURNAL].copy_from_slice(&(HEADER as u32).to_le_bytes());
        bytes[AT_JOURNAL..AT_BASE].copy_from_slice(self.journal.as_bytes());
        bytes[AT_BASE..AT_SEGMENT_BYTES].copy_from_slice(&self.base.to_le_bytes());
        bytes[AT_SEGMENT_BYTES..AT_PAYLOAD_VERSION].copy_from_slice(&self.segment_bytes.to_le_bytes());
        bytes[AT_PAYLOAD_VERSION..AT_RESERVED].copy_from_slice(&self.payload_version.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..AT_CRC]);
        bytes[AT_CRC..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(bytes) = bytes.get(..HEADER) else {
            return Err(if bytes.iter().all(|b| *b == 0) { HeaderError::Empty } else { HeaderError::Damaged });
        };
        if bytes.iter().all(|b| *b == 0) {
            return Err(HeaderError::Empty);
        }
        if bytes[AT_MAGIC..AT_MAJOR] != MAGIC || read_u32(bytes, AT_CRC) != Some(crc32c::crc32c(&bytes[..AT_CRC])) {
            return Err(HeaderError::Damaged);
        }
        let major = u16::from_le_bytes([bytes[AT_MAJOR], bytes[AT_MAJOR + 1]]);
        if major > MAJOR {
            return Err(HeaderError::NewerMajor(major));
        }
        let payload_version = match major {
            0 | 1 => 1,
            _ => u16::from_le_bytes([bytes[AT_PAYLOAD_VERSION], bytes[AT_PAYLOAD_VERSION + 1]]),
        };
        if payload_version > PAYLOAD_VERSION {
            return Err(HeaderError::NewerPayload(payload_version));
        }
        let journal = Uuid::from_slice(&bytes[AT_JOURNAL..AT_BASE]).map_err(|_| HeaderError::Damaged)?;
        let (Some(base), Some(segment_bytes)) = (read_u64(bytes, AT_BASE), read_u64(bytes, AT_SEGMENT_BYTES)) else {
            return Err(HeaderError::Damaged);
        };
        Ok(Self { journal, base, segment_bytes, payload_version })
    }
}

/// A little-endian `u32`, if the bytes reach that far.
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A little-endian `u64`, if the bytes reach that far.
pub(crate) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_is_noticed() {
        let header = SegmentHeader {
            journal: Uuid::now_v7(),
            base: 3 << 24,
            segment_bytes: 1 << 24,
            payload_version: PAYLOAD_VERSION,
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for bit in 0..HEADER * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_major_version_is_refused_with_words_and_an_older_one_read() {
        let header =
            SegmentHeader { journal: Uuid::nil(), base: 0, segment_bytes: 1 << 24, payload_version: PAYLOAD_VERSION };
        let of_major = |major: u8| {
            let mut bytes = header.encode();
            bytes[AT_MAJOR] = major;
            let crc = crc32c::crc32c(&bytes[..AT_CRC]);
            bytes[AT_CRC..].copy_from_slice(&crc.to_le_bytes());
            SegmentHeader::decode(&bytes)
        };
        let error = of_major(3).unwrap_err();
        assert!(error.to_string().contains("format 3"), "{error}");
        assert_eq!(of_major(1), Ok(SegmentHeader { payload_version: 1, ..header }));
    }

    #[test]
    fn a_newer_version_of_events_is_refused_with_words() {
        let header = SegmentHeader {
            journal: Uuid::nil(),
            base: 0,
            segment_bytes: 1 << 24,
            payload_version: PAYLOAD_VERSION + 1,
        };
        let error = SegmentHeader::decode(&header.encode()).unwrap_err();
        assert!(error.to_string().contains("version 3, this program reads 1 to 2"), "{error}");
    }

    #[test]
    fn only_the_first_record_of_a_block_goes_beyond_it() {
        let block = BLOCK as usize;
        for (offset, payload, may) in [
            (HEADER, 10 * block, true),
            (HEADER + ALIGN, block, false),
            (block, 10 * block, true),
            (2 * block - RECORD_HEADER - 16, 16, true),
            (2 * block - RECORD_HEADER - 16, 17, false),
            (block + ALIGN, usize::MAX >> 33, false),
        ] {
            assert_eq!(may_stand(offset, payload), may, "{offset} {payload}");
        }
    }

    #[test]
    fn a_file_that_was_only_allocated_is_empty_not_damaged() {
        assert_eq!(SegmentHeader::decode(&[0; 4096]), Err(HeaderError::Empty));
        assert_eq!(SegmentHeader::decode(&[]), Err(HeaderError::Empty));
    }
}
