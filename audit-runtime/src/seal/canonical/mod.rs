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
//! `jsonb` orders and drops members, resolves escapes, and writes `1e3` as `1000`. None of this
//! changes the bytes, and every change of a value does.

mod text;

use text::Text;
pub(crate) use text::{NotJson, with_length};

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

/// Writes canonical forms, and keeps its buffers from one to the next.
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
    /// The text is invalid JSON, and the appended bytes have to be discarded.
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
            // A value has ended, and with it those that end at the same place.
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
    fn invalid_json_is_refused() {
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
