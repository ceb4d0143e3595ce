//! Values in an event's data that are not JSON yet.
//!
//! A call copies its numbers, ids and texts as they are, which is faster. The reader of the record
//! writes them as JSON. Each stands where its JSON would, behind a byte for its type:
//!
//! ```text
//! text      1 | length u16 | UTF-8
//! unsigned  2 | u64
//! signed    3 | i64
//! float     4 | f64
//! id        5 | [16]
//! ```
//!
//! Such a byte is not part of JSON. In its strings, control characters are escaped. Between its
//! values stand none but tab, line feed and carriage return (RFC 8259, sections 2 and 7).

use crate::capture::json::{FLOAT, ReservedBuf, escape, float, id};
use uuid::Uuid;

const TEXT: u8 = 1;
const UNSIGNED: u8 = 2;
const SIGNED: u8 = 3;
const FLOAT_NUMBER: u8 = 4;
const ID: u8 = 5;
/// All bytes below are for values.
const VALUES: u8 = 8;

/// The most bytes of JSON that a byte of data becomes: a control character in a text, `\u001f`.
pub(crate) const MOST_JSON: usize = 6;

/// Puts a text. It has at most 64 KiB.
#[inline(always)]
pub(crate) fn text(text: &[u8], room: &mut ReservedBuf<'_>) {
    room.put(&[TEXT]);
    room.put(&(text.len() as u16).to_le_bytes());
    room.put(text);
}

#[inline(always)]
pub(crate) fn unsigned(number: u64, room: &mut ReservedBuf<'_>) {
    value(UNSIGNED, &number.to_le_bytes(), room);
}

#[inline(always)]
pub(crate) fn signed(number: i64, room: &mut ReservedBuf<'_>) {
    value(SIGNED, &number.to_le_bytes(), room);
}

#[inline(always)]
pub(crate) fn float_number(number: f64, room: &mut ReservedBuf<'_>) {
    value(FLOAT_NUMBER, &number.to_le_bytes(), room);
}

#[inline(always)]
pub(crate) fn uuid(id: &Uuid, room: &mut ReservedBuf<'_>) {
    value(ID, id.as_bytes(), room);
}

/// (In two pieces: a processor that has just written both waits before it reads them as one.)
#[inline(always)]
fn value(tag: u8, bytes: &[u8], room: &mut ReservedBuf<'_>) {
    room.put(&[tag]);
    room.put(bytes);
}

/// The JSON that data stand for: themselves, if they are JSON, or else what is written to `out`.
/// `None` if they are nothing that a call writes.
pub(crate) fn json<'a>(data: &'a [u8], out: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let Some(mut at) = next_value(data) else {
        return Some(data);
    };
    out.clear();
    // Most values take more as JSON.
    out.reserve(data.len() * 2);
    let mut rest = data;
    loop {
        let (json, value) = rest.split_at_checked(at)?;
        out.extend_from_slice(json);
        rest = write(value, out)?;
        match next_value(rest) {
            Some(next) => at = next,
            None => {
                out.extend_from_slice(rest);
                return Some(out);
            }
        }
    }
}

/// Writes the value that stands here as JSON, and returns what stands behind it.
fn write<'a>(value: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (tag, value) = value.split_first()?;
    match *tag {
        TEXT => {
            let (length, value) = value.split_first_chunk()?;
            let (text, rest) = value.split_at_checked(u16::from_le_bytes(*length).into())?;
            out.push(b'"');
            escape(text, out);
            out.push(b'"');
            Some(rest)
        }
        UNSIGNED => {
            let (number, rest) = value.split_first_chunk()?;
            out.extend_from_slice(itoa::Buffer::new().format(u64::from_le_bytes(*number)).as_bytes());
            Some(rest)
        }
        SIGNED => {
            let (number, rest) = value.split_first_chunk()?;
            out.extend_from_slice(itoa::Buffer::new().format(i64::from_le_bytes(*number)).as_bytes());
            Some(rest)
        }
        FLOAT_NUMBER => {
            let (number, rest) = value.split_first_chunk()?;
            float(f64::from_le_bytes(*number), &mut ReservedBuf::new(out, FLOAT));
            Some(rest)
        }
        ID => {
            let (bytes, rest) = value.split_first_chunk()?;
            out.extend_from_slice(&id(&Uuid::from_bytes(*bytes)));
            Some(rest)
        }
        _ => None,
    }
}

/// Where the first value stands that is not JSON yet.
#[inline]
fn next_value(data: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let mut words = data.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        // The lowest bit that is left is that of the first byte below: only those above it may have
        // lent to it.
        let below = word.wrapping_sub(EACH * u64::from(VALUES)) & !word & (EACH << 7);
        if below != 0 {
            return Some(at + below.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    words.remainder().iter().position(|byte| *byte < VALUES).map(|rest| at + rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn written(data: &[u8]) -> Option<String> {
        json(data, &mut Vec::new()).map(|json| String::from_utf8(json.to_vec()).unwrap())
    }

    fn put(put: impl FnOnce(&mut ReservedBuf<'_>)) -> Vec<u8> {
        let mut data = Vec::new();
        put(&mut ReservedBuf::new(&mut data, 100));
        data
    }

    #[test]
    fn values_are_written_where_they_stand() {
        let id = Uuid::from_u128(0x0193_5c2e_7c4a_7bbd_8f8e_2d6c_5b4a_3921);
        let data = [
            &b"{\"id\":"[..],
            &put(|room| uuid(&id, room)),
            b",\"texts\":[",
            &put(|room| text("\u{1}\"ä\"".as_bytes(), room)),
            b",",
            &put(|room| text(b"", room)),
            b"],\"numbers\":[\t",
            &put(|room| unsigned(u64::MAX, room)),
            b",",
            &put(|room| signed(i64::MIN, room)),
            b", ",
            &put(|room| float_number(187.25, room)),
            b",",
            &put(|room| float_number(f64::NAN, room)),
            b"]}",
        ]
        .concat();
        let expected = json!({ "id": id, "texts": ["\u{1}\"ä\"", ""], "numbers": [u64::MAX, i64::MIN, 187.25, null] });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written(&data).unwrap()).unwrap(), expected);
        for length in 0..data.len() {
            assert!(
                written(&data[..length]).is_none_or(|json| serde_json::from_str::<serde_json::Value>(&json).is_err())
            );
        }
    }

    #[test]
    fn json_is_left_where_it_is() {
        for data in ["", "{}", "{\"a\":\t[\r\n\"\\u0001ä\"]}"] {
            assert!(std::ptr::eq(json(data.as_bytes(), &mut Vec::new()).unwrap(), data.as_bytes()));
        }
    }

    #[test]
    fn bytes_that_no_call_writes_are_refused() {
        for data in [
            &b"{\"a\":\x00}"[..],
            b"\x06",
            b"\x07 12345678",
            b"\x01",
            b"\x01\x05\x00abcd",
            b"\x02 seven ",
            b"\x05short",
        ] {
            assert_eq!(json(data, &mut Vec::new()), None, "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn the_first_value_is_found(before in "[ -~\t\r\nä]{0,40}", tag in 0..VALUES, behind: Vec<u8>) {
            let data = [before.as_bytes(), &[tag], &behind].concat();
            prop_assert_eq!(next_value(&data), Some(before.len()));
            prop_assert_eq!(next_value(before.as_bytes()), None);
        }
    }
}
