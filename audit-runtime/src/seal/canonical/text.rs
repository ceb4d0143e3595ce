//! Reading JSON, and writing the canonical form of its strings and numbers.

use crate::capture::json;

/// PostgreSQL would refuse the bytes as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Appends a text with its length before it, which is known only afterwards.
pub(crate) fn with_length(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), NotJson>,
) -> Result<(), NotJson> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// A JSON text that is read from its beginning.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Text<'a> {
    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn byte(&mut self) -> Result<u8, NotJson> {
        let byte = *self.bytes.get(self.at).ok_or(NotJson)?;
        self.at += 1;
        Ok(byte)
    }

    /// The first byte of what comes next.
    pub(super) fn token(&mut self) -> Result<u8, NotJson> {
        self.space();
        self.byte()
    }

    /// Passes this byte, if it comes next.
    pub(super) fn next_is(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.space();
        self.at == self.bytes.len()
    }

    pub(super) fn word(&mut self, rest: &[u8]) -> Result<(), NotJson> {
        let is_it = self.bytes[self.at..].starts_with(rest);
        self.at += rest.len();
        if is_it { Ok(()) } else { Err(NotJson) }
    }

    /// A string behind its first quotation mark.
    pub(super) fn string(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
        out.push(b's');
        with_length(out, |out| {
            loop {
                let rest = &self.bytes[self.at..];
                let plain = json::plain(rest).ok_or(NotJson)?;
                out.extend_from_slice(&rest[..plain]);
                self.at += plain + 1;
                match rest[plain] {
                    b'"' => return Ok(()),
                    b'\\' => self.escape(out)?,
                    _ => return Err(NotJson),
                }
            }
        })
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
        let character = match self.byte()? {
            byte @ (b'"' | b'\\' | b'/') => byte.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.four_digits()?;
                let code = if (0xd800..0xdc00).contains(&unit) {
                    // The first of a surrogate pair.
                    if (self.byte()?, self.byte()?) != (b'\\', b'u') {
                        return Err(NotJson);
                    }
                    let second = self.four_digits()?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return Err(NotJson);
                    }
                    0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    unit
                };
                char::from_u32(code).filter(|character| *character != '\0').ok_or(NotJson)?
            }
            _ => return Err(NotJson),
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u32, NotJson> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(NotJson)?;
        self.at += 4;
        digits.iter().try_fold(0, |number, digit| Ok(number * 16 + char::from(*digit).to_digit(16).ok_or(NotJson)?))
    }

    /// A number behind its first byte.
    pub(super) fn number(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
        self.at -= 1;
        let is_negative = self.next_is(b'-');
        let whole = self.digits();
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
            return Err(NotJson);
        }
        let mut fraction = &[][..];
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            fraction = self.digits();
            if fraction.is_empty() {
                return Err(NotJson);
            }
        }
        let mut exponent = 0_i64;
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            let minus = match self.bytes.get(self.at) {
                Some(sign @ (b'+' | b'-')) => {
                    self.at += 1;
                    *sign == b'-'
                }
                _ => false,
            };
            let digits = self.digits();
            // Beyond this, PostgreSQL takes no number anyway.
            let value: i64 = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(NotJson)?;
            exponent = if minus { -value } else { value };
        }
        out.push(b'd');
        with_length(out, |out| {
            let begin = out.len();
            out.extend_from_slice(whole);
            out.extend_from_slice(fraction);
            let zeros = out[begin..].iter().take_while(|digit| **digit == b'0').count();
            out.drain(begin..begin + zeros);
            let significant = out[begin..].iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
            let dropped = out.len() - begin - significant;
            out.truncate(begin + significant);
            if significant == 0 {
                out.push(b'0');
                return Ok(());
            }
            if is_negative {
                out.insert(begin, b'-');
            }
            exponent = exponent.saturating_add(dropped as i64 - fraction.len() as i64);
            out.push(b'e');
            out.extend_from_slice(exponent.to_string().as_bytes());
            Ok(())
        })
    }

    fn digits(&mut self) -> &'a [u8] {
        let rest: &'a [u8] = &self.bytes[self.at..];
        let digits = &rest[..rest.iter().take_while(|byte| byte.is_ascii_digit()).count()];
        self.at += digits.len();
        digits
    }
}
