//! JSON strings.

/// A byte of every byte.
const fn every(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Whether one of eight bytes cannot stand in a JSON string as it is: a quotation mark, a
/// backslash, a control character. (Where one byte subtracted from takes from the next, that byte
/// was such a one itself.)
#[inline]
fn is_special(bytes: u64) -> bool {
    let high = every(0x80);
    let below_space = bytes.wrapping_sub(every(0x20)) & !bytes;
    let is_zero = |bytes: u64| bytes.wrapping_sub(every(1)) & !bytes;
    (below_space | is_zero(bytes ^ every(b'"')) | is_zero(bytes ^ every(b'\\'))) & high != 0
}

/// Whether a text has to be changed to stand in a JSON string.
#[inline]
pub(super) fn needs_escapes(text: &[u8]) -> bool {
    let half = |at: usize| u64::from(u32::from_le_bytes(text[at..at + 4].try_into().unwrap_or_default()));
    match text.len() {
        // The last word overlaps the one before.
        length @ 8.. => {
            (0..length - 8).step_by(8).any(|at| is_special(word(text, at))) || is_special(word(text, length - 8))
        }
        length @ 4.. => is_special(half(0) | half(length - 4) << 32),
        _ => text.iter().any(|byte| ESCAPES[usize::from(*byte)] != PLAIN),
    }
}

#[inline]
fn word(text: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(text[at..at + 8].try_into().unwrap_or_default())
}

/// How many bytes stand before the first that cannot stand in a JSON string as it is, or `None` if
/// all can.
#[inline]
pub(crate) fn plain(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + 8 <= text.len() && !is_special(word(text, at)) {
        at += 8;
    }
    let rest = text[at..].iter().position(|byte| ESCAPES[usize::from(*byte)] != PLAIN);
    rest.map(|rest| at + rest)
}

/// How a byte is written: as it is, by a letter behind a backslash, or by its number.
const PLAIN: u8 = 0;
const NUMBER: u8 = b'u';
const ESCAPES: [u8; 256] = {
    let mut escapes = [PLAIN; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = NUMBER;
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[0x09] = b't';
    escapes[0x0a] = b'n';
    escapes[0x0c] = b'f';
    escapes[0x0d] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// Appends a text as the inside of a JSON string (RFC 8259), as `serde_json` writes it.
#[inline]
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    if needs_escapes(text) {
        escape_slowly(text, out);
    } else {
        out.extend_from_slice(text);
    }
}

#[cold]
fn escape_slowly(text: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, byte) in text.iter().enumerate() {
        match ESCAPES[usize::from(*byte)] {
            PLAIN => continue,
            NUMBER => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let digit = |shift: u8| DIGITS[usize::from(byte >> shift & 15)];
                out.extend_from_slice(&text[plain..at]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(4), digit(0)]);
            }
            letter => {
                out.extend_from_slice(&text[plain..at]);
                out.extend_from_slice(&[b'\\', letter]);
            }
        }
        plain = at + 1;
    }
    out.extend_from_slice(&text[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same_as_serde_json(text: &str) {
        let mut out = vec![b'"'];
        escape(text.as_bytes(), &mut out);
        out.push(b'"');
        assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(text).unwrap());
    }

    #[test]
    fn every_character_at_every_place_is_written_as_serde_json_writes_it() {
        for special in (0..=0xff).map(char::from).chain(['€', '😀', '\u{2028}']) {
            for length in 0..20 {
                for at in 0..=length {
                    let text: String = (0..=length).map(|place| if place == at { special } else { 'x' }).collect();
                    same_as_serde_json(&text);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn plain_text_is_recognised(text in "[a-zä\"\\\\\u{1f}\u{7f}]{0,40}") {
            let plain = plain(text.as_bytes());
            assert_eq!(plain, text.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)));
        }

        #[test]
        fn any_text_is_written_as_serde_json_writes_it(text in "(?s).{0,60}", quoted in "[a-z\"\\\\\u{0}-\u{1f}\u{7f}-\u{9f}]{0,40}") {
            same_as_serde_json(&text);
            same_as_serde_json(&quoted);
        }
    }
}
