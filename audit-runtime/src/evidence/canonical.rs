//! The canonical form of JSON: the same bytes for the same value, however it is written.
//!
//! ```text
//! null    n            true    t            false   f
//! number  d text       the number's decimal digits without leading and trailing zeros, `e`, the exponent: 1.10 is 11e-1,
//!                      -1200 is -12e2; zero is 0
//! string  s text       its characters as UTF-8, escapes resolved
//! array   a count      then the elements
//! object  o count      then the members, each its name as a string and its value, ordered by the bytes of the names;
//!                      of members with the same name the last
//! text    length u32 big endian, bytes;    count   u32 big endian
//! ```
//!
//! So whatever `jsonb` does to a document (it orders and drops members, resolves escapes, writes `1e3` as `1000`) changes nothing, and
//! whatever changes a value changes the bytes.

use crate::json;

/// The bytes are no JSON that PostgreSQL would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;

/// An array or object that is not closed yet.
#[derive(Debug)]
struct Open {
    object: bool,
    count: u32,
    /// Where its count is in the output.
    at: usize,
    /// Where its members begin in [`Canonical::members`].
    members: usize,
}

/// A member of an object that is not closed yet, by its place in the output.
#[derive(Debug, Clone, Copy)]
struct Member {
    begin: usize,
    end: usize,
}

/// Writes canonical forms; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Canonical {
    open: Vec<Open>,
    members: Vec<Member>,
    order: Vec<Member>,
    sorted: Vec<u8>,
}

impl Canonical {
    /// Appends the canonical form of a JSON text.
    ///
    /// # Errors
    /// It is none; what was appended is to be discarded.
    pub(crate) fn json(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), NotJson> {
        self.open.clear();
        self.members.clear();
        let mut text = Text { bytes: text, at: 0 };
        loop {
            // A value begins, or an empty array or object ends.
            match text.token()? {
                b'{' => {
                    self.opens(true, out);
                    if text.next_is(b'}') {
                        self.closes(out);
                    } else {
                        self.name(&mut text, out)?;
                        continue;
                    }
                }
                b'[' => {
                    self.opens(false, out);
                    if text.next_is(b']') {
                        self.closes(out);
                    } else {
                        continue;
                    }
                }
                b'"' => text.string(out)?,
                b'n' => text.word(b"ull").map(|()| out.push(b'n'))?,
                b't' => text.word(b"rue").map(|()| out.push(b't'))?,
                b'f' => text.word(b"alse").map(|()| out.push(b'f'))?,
                _ => text.number(out)?,
            }
            // A value has ended; with it those that end where it does.
            loop {
                let Some(open) = self.open.last_mut() else {
                    return if text.is_at_end() { Ok(()) } else { Err(NotJson) };
                };
                open.count += 1;
                let object = open.object;
                if object {
                    self.members.last_mut().ok_or(NotJson)?.end = out.len();
                }
                match (text.token()?, object) {
                    (b',', true) => {
                        self.name(&mut text, out)?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => self.closes(out),
                    _ => return Err(NotJson),
                }
            }
        }
    }

    fn opens(&mut self, object: bool, out: &mut Vec<u8>) {
        out.push(if object { b'o' } else { b'a' });
        self.open.push(Open { object, count: 0, at: out.len(), members: self.members.len() });
        out.extend_from_slice(&[0; 4]);
    }

    fn name(&mut self, text: &mut Text<'_>, out: &mut Vec<u8>) -> Result<(), NotJson> {
        self.members.push(Member { begin: out.len(), end: out.len() });
        if text.token()? != b'"' {
            return Err(NotJson);
        }
        text.string(out)?;
        if text.token()? == b':' { Ok(()) } else { Err(NotJson) }
    }

    fn closes(&mut self, out: &mut Vec<u8>) {
        let Some(Open { object, mut count, at, members }) = self.open.pop() else {
            return;
        };
        if object {
            let is_ordered =
                self.members[members..].windows(2).all(|pair| name_of(out, pair[0]) < name_of(out, pair[1]));
            if !is_ordered {
                self.order.clear();
                self.order.extend_from_slice(&self.members[members..]);
                // Stable: of the same names, the last stays the last.
                self.order.sort_by(|one, other| name_of(out, *one).cmp(name_of(out, *other)));
                self.sorted.clear();
                count = 0;
                for (number, member) in self.order.iter().enumerate() {
                    let is_last =
                        self.order.get(number + 1).is_none_or(|next| name_of(out, *next) != name_of(out, *member));
                    if is_last {
                        self.sorted.extend_from_slice(&out[member.begin..member.end]);
                        count += 1;
                    }
                }
                out.truncate(at + 4);
                out.extend_from_slice(&self.sorted);
            }
            self.members.truncate(members);
        }
        out[at..at + 4].copy_from_slice(&count.to_be_bytes());
    }
}

/// The name of a member, as its bytes.
fn name_of(out: &[u8], member: Member) -> &[u8] {
    let (length, rest) = out[member.begin + 1..member.end].split_at(4);
    &rest[..u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize]
}

/// Appends a text with its length before it, which is known only afterwards.
pub(super) fn with_length(
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
struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
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
    fn token(&mut self) -> Result<u8, NotJson> {
        self.space();
        self.byte()
    }

    /// Passes this byte, if it comes next.
    fn next_is(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn is_at_end(&mut self) -> bool {
        self.space();
        self.at == self.bytes.len()
    }

    fn word(&mut self, rest: &[u8]) -> Result<(), NotJson> {
        let is_it = self.bytes[self.at..].starts_with(rest);
        self.at += rest.len();
        if is_it { Ok(()) } else { Err(NotJson) }
    }

    /// A string behind its first quotation mark.
    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
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
    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        Canonical::default().json(text.as_bytes(), &mut out).ok().map(|()| out)
    }

    #[test]
    fn the_same_value_has_the_same_bytes_however_it_is_written() {
        for same in [
            &["1.10", "1.1", "11e-1", "0.11e+1", "1.100E0"][..],
            &["1000", "1e3", "1E+3", "1000.000", "0.001e6"],
            &["0", "-0", "0.0", "0e5", "-0.00E-3"],
            &["-12345678901234567890123", "-12345678901234567890123.0", "-1.2345678901234567890123e22"],
            &[r#""ä/\"\n""#, r#""\u00e4\/\u0022\u000a""#, "\"\\u00E4/\\\"\\n\""],
            &[r#""😀""#, r#""\ud83d\ude00""#],
            &[r#"{"a":1,"b":{"d":2,"c":3}}"#, " { \"b\" : { \"c\" : 3 , \"d\" : 2 } , \"a\" : 1.0 } "],
            &[r#"{"a":2}"#, r#"{"a":1,"a":2}"#, r#"{"\u0061":1,"b":{"x":[1,2]},"a":2,"b":0}"#][..2],
            &["[ ]", "[]"],
            &["{\t}", "{}"],
            &["[[],[{}],[[1]]]", "[ [ ],[{ } ] , [[ 1 ]]]"],
        ] {
            let first = canonical(same[0]);
            assert!(first.is_some(), "{}", same[0]);
            for other in same {
                assert_eq!(canonical(other), first, "{other}");
            }
        }
    }

    #[test]
    fn different_values_have_different_bytes() {
        let values = [
            "1",
            "10",
            "-1",
            "0.1",
            "1e-1000",
            "true",
            "false",
            "null",
            r#""1""#,
            r#""true""#,
            "[]",
            "{}",
            "[[]]",
            "[1,2]",
            "[2,1]",
            "[12]",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"b":1}"#,
            r#"{"a":[1]}"#,
            r#"{"a":1,"b":2}"#,
            r#""a""#,
            r#""A""#,
            "\"\u{e9}\"",
            "\"e\u{301}\"",
            r#"{"a":{"b":1}}"#,
            r#"[{"a":1},{"b":2}]"#,
            r#"[{"a":1,"b":2}]"#,
        ];
        for (number, one) in values.iter().enumerate() {
            for other in &values[number + 1..] {
                assert_ne!(canonical(one), canonical(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn names_are_ordered_by_their_bytes() {
        assert_eq!(
            canonical(r#"{"b":1,"":2,"ab":3,"\"":4,"ä":5}"#).unwrap(),
            [
                &b"o\0\0\0\x05"[..],
                b"s\0\0\0\0d\0\0\0\x032e0",
                b"s\0\0\0\x01\"d\0\0\0\x034e0",
                b"s\0\0\0\x02abd\0\0\0\x033e0",
                b"s\0\0\0\x01bd\0\0\0\x031e0",
                "s\0\0\0\u{2}äd\0\0\0\u{3}5e0".as_bytes(),
            ]
            .concat()
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "truee",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "1e+",
            "--1",
            "NaN",
            "[",
            "]",
            "[1",
            "[1,]",
            "[,1]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\\u0000\"",
            "\"a\nb\"",
            "1e99999999999999999999",
            "- 1",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn depth_is_no_matter() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(canonical(&deep).unwrap().len(), 5 * 200_000);
    }
}
