//! UUIDs.

use uuid::Uuid;

/// An id as a JSON string: 32 digits in five groups (RFC 9562), as `uuid` writes it, of which eight
/// digits at a time.
#[inline]
pub(crate) fn id(id: &Uuid) -> [u8; 38] {
    let mut text = *b"\"________-____-____-____-____________\"";
    let (left, right) = id.as_u64_pair();
    let (first, second, third, fourth) =
        (hex((left >> 32) as u32), hex(left as u32), hex((right >> 32) as u32), hex(right as u32));
    text[1..9].copy_from_slice(&first);
    text[10..14].copy_from_slice(&second[..4]);
    text[15..19].copy_from_slice(&second[4..]);
    text[20..24].copy_from_slice(&third[..4]);
    text[25..29].copy_from_slice(&third[4..]);
    text[29..37].copy_from_slice(&fourth);
    text
}

/// The eight digits of a word.
#[inline]
fn hex(word: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Spreads the digits over one byte each. Digits above nine then move to the letters.
    let word = u64::from(word);
    let word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    let word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // The digits above nine.
    let letters = (word + 6 * EACH) >> 4 & EACH;
    (word + u64::from(b'0') * EACH + letters * u64::from(b'a' - 10 - b'0')).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_uuid_writes_them() {
        let known = Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        for uuid in std::iter::once(known).chain((0..1_000).map(|_| Uuid::new_v4())) {
            assert_eq!(std::str::from_utf8(&id(&uuid)).unwrap(), format!("\"{uuid}\""));
        }
    }
}
