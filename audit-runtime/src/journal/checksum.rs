//! The checksum of a record: of its payload, and of the place that it is valid in.
//!
//! ```text
//! checksum = crc32c(first u32 | second * P u32 | third * Q u32 | journal u32 | position u64 | length u64)
//! first, second, third = the CRC-32C of the payload's thirds
//! journal = the CRC-32C of the journal's id
//! P, Q = 0x9e3779b1, 0x85ebca77, modulo 2^32
//! ```
//!
//! Integers are little endian. The payload is filled up with zeros to whole words of 8 bytes. The
//! first two thirds each have a third of the whole words, rounded down. Three sums that do not wait
//! for each other take a third of the time of one. The factors are two primes of xxHash's. Without
//! them, one flipped bit in each of two thirds could cancel each other out, because a CRC of CRCs
//! is linear.

use uuid::Uuid;

/// The checksums of a payload's thirds, before the record's position is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PayloadChecksum([u32; 3]);

impl PayloadChecksum {
    #[inline]
    pub(crate) fn of(payload: &[u8]) -> Self {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if std::arch::is_x86_feature_detected!("sse4.2") {
            // SAFETY: the processor has what the function is compiled for.
            return Self(unsafe { hardware::thirds(payload) });
        }
        Self(thirds(payload))
    }
}

fn thirds(payload: &[u8]) -> [u32; 3] {
    let third = payload.len() / 8 / 3 * 8;
    let (first, rest) = payload.split_at(third);
    let (second, third) = rest.split_at(third);
    let zeros = &[0; 8][..payload.len().next_multiple_of(8) - payload.len()];
    [crc32c::crc32c(first), crc32c::crc32c(second), crc32c::crc32c_append(crc32c::crc32c(third), zeros)]
}

/// Binds a payload's checksum to its journal, logical position and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordChecksum(u32);

impl RecordChecksum {
    pub(crate) fn new(journal: Uuid) -> Self {
        Self(crc32c::crc32c(journal.as_bytes()))
    }

    /// The checksum of a record: of its payload's, and of where it is.
    #[inline]
    pub(crate) fn of(self, payload: PayloadChecksum, position: u64, length: u32) -> u32 {
        let PayloadChecksum([first, second, third]) = payload;
        let (second, third) = (second.wrapping_mul(0x9e37_79b1), third.wrapping_mul(0x85eb_ca77));
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let words = [pair(first, second), pair(third, self.0), position, u64::from(length)];
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if std::arch::is_x86_feature_detected!("sse4.2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { hardware::words(&words) };
        }
        crc32c::crc32c(words.map(u64::to_le_bytes).as_flattened())
    }
}

/// By the processor's own instruction. (The crate `crc32c` uses it too. But for each sum it checks
/// the processor's abilities and the alignment and length of the words.)
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod hardware {
    use std::arch::x86_64::_mm_crc32_u64;

    const BEGIN: u64 = u32::MAX as u64;

    fn end(crc: u64) -> u32 {
        !(crc as u32)
    }

    #[target_feature(enable = "sse4.2")]
    pub(super) fn thirds(payload: &[u8]) -> [u32; 3] {
        let (words, rest) = payload.as_chunks();
        let (first, others) = words.split_at(words.len() / 3);
        let (second, third) = others.split_at(first.len());
        let (third, more) = third.split_at(first.len());
        let [mut a, mut b, mut c] = [BEGIN; 3];
        for ((first, second), third) in first.iter().zip(second).zip(third) {
            a = _mm_crc32_u64(a, u64::from_le_bytes(*first));
            b = _mm_crc32_u64(b, u64::from_le_bytes(*second));
            c = _mm_crc32_u64(c, u64::from_le_bytes(*third));
        }
        for word in more {
            c = _mm_crc32_u64(c, u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            c = _mm_crc32_u64(c, filled_up(payload, rest));
        }
        [a, b, c].map(end)
    }

    #[target_feature(enable = "sse4.2")]
    pub(super) fn words(words: &[u64; 4]) -> u32 {
        end(words.iter().fold(BEGIN, |crc, word| _mm_crc32_u64(crc, *word)))
    }

    /// The last bytes of a payload, filled up with zeros.
    fn filled_up(payload: &[u8], rest: &[u8]) -> u64 {
        match payload.last_chunk() {
            Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_processor_makes_the_same_of_a_payload() {
        let bytes: Vec<u8> = (0..1_000_u32).map(|number| (number * 7 % 251) as u8).collect();
        for length in (0..100).chain([255, 256, 257, 999]) {
            let payload = &bytes[..length];
            assert_eq!(PayloadChecksum::of(payload), PayloadChecksum(thirds(payload)), "{length}");
        }
    }

    /// Files contain this sum: another one would make them unreadable. Another program computed it,
    /// too.
    #[test]
    fn a_checksum_is_what_it_was() {
        let checksum = |payload: &[u8]| {
            let of_journal = RecordChecksum::new(Uuid::from_u128(0x0193_5c2e_7c4a_7bbd_8f8e_2d6c_5b4a_3921));
            of_journal.of(PayloadChecksum::of(payload), 4_096, payload.len() as u32)
        };
        assert_eq!(
            [checksum(b""), checksum(b"audit"), checksum(&[7; 100])],
            [4_147_977_214, 2_845_489_683, 3_144_600_552]
        );
    }

    #[test]
    fn any_flipped_bit_of_payload_or_place_is_noticed() {
        let payload: Vec<u8> = (0..61).collect();
        let checksum = |payload: &[u8], position, journal| {
            RecordChecksum::new(Uuid::from_u128(journal)).of(
                PayloadChecksum::of(payload),
                position,
                payload.len() as u32,
            )
        };
        let mut seen = HashSet::from([checksum(&payload, 64, 1)]);
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(checksum(&flipped, 64, 1)), "bit {bit}");
        }
        // The filled-up bytes are not part of the record.
        assert!(seen.insert(checksum(&[&*payload, &[0]].concat(), 64, 1)));
        for bit in 3..64 {
            assert!(seen.insert(checksum(&payload, 64 ^ 1 << bit, 1)), "bit {bit} of the position");
        }
        assert!(seen.insert(checksum(&payload, 64, 2)));
    }
}
