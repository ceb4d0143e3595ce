//! JSON text to a [`Json`].

use super::{DeepJson, Json, JsonError};
use crate::capture::json::plain;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The most arrays and objects within each other that a tree has. Anything deeper stays a text.
const MOST_LEVELS: usize = 128;

impl FromStr for Json {
    type Err = JsonError;

    /// Reads JSON (RFC 8259).
    ///
    /// # Errors
    /// The text is not JSON. The error names the byte where it departs from it. Half of a surrogate
    /// pair is an error, too.
    fn from_str(text: &str) -> Result<Self, JsonError> {
        let mut parser = Parser { text, at: 0, repairs: false };
        parser.document()
    }
}

/// Reads JSON whose strings may have halves of surrogate pairs, as `serde_json` passes them on in a
/// `RawValue`: each becomes U+FFFD, the replacement character.
pub(crate) fn parse_repairing(text: &str) -> Result<Json, JsonError> {
    let mut parser = Parser { text, at: 0, repairs: true };
    parser.document()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Halves of surrogate pairs are replaced.
    repairs: bool,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<Json, JsonError> {
        let value = self.value(0)?;
        self.space();
        if self.at < self.text.len() { self.fails("the end of the text") } else { Ok(value) }
    }

    /// Reads a value below so many arrays and objects.
    fn value(&mut self, levels: usize) -> Result<Json, JsonError> {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if levels == MOST_LEVELS => self.deep(),
            Some(b'{') => self.object(levels + 1),
            Some(b'[') => self.array(levels + 1),
            Some(b'"') => self.string().map(Json::String),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.fails("a value"),
        }
    }

    fn object(&mut self, levels: usize) -> Result<Json, JsonError> {
        let mut members = BTreeMap::new();
        self.at += 1;
        if self.passes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return self.fails("the name of a member");
            }
            let name = self.string()?;
            if !self.passes(b':') {
                return self.fails("a colon");
            }
            members.insert(name, self.value(levels)?);
            if self.passes(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.passes(b',') {
                return self.fails("a comma or a closing brace");
            }
        }
    }

    fn array(&mut self, levels: usize) -> Result<Json, JsonError> {
        let mut values = Vec::new();
        self.at += 1;
        if self.passes(b']') {
            return Ok(Json::Array(values));
        }
        loop {
            values.push(self.value(levels)?);
            if self.passes(b']') {
                return Ok(Json::Array(values));
            }
            if !self.passes(b',') {
                return self.fails("a comma or a closing bracket");
            }
        }
    }

    /// Reads an array or object of any depth without recursion, and keeps its text.
    fn deep(&mut self) -> Result<Json, JsonError> {
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<&RawValue>();
        let Some(Ok(value)) = values.next() else {
            return self.fails("a whole array or object");
        };
        self.at += values.byte_offset();
        Ok(Json::Deep(DeepJson(value.get().into())))
    }

    /// Reads a string, behind whose first quotation mark it stands then.
    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut found = String::new();
        loop {
            let Some(length) = plain(&self.text.as_bytes()[self.at..]) else {
                self.at = self.text.len();
                return self.fails("a closing quotation mark");
            };
            let end = self.at + length;
            found.push_str(&self.text[self.at..end]);
            self.at = end + 1;
            match self.text.as_bytes()[end] {
                b'"' => return Ok(found),
                b'\\' => found.push(self.escape()?),
                _ => {
                    self.at = end;
                    return self.fails("no control character in a string");
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let escape = self.peek();
        self.at += 1;
        Ok(match escape {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte.into(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unit(),
            _ => {
                self.at -= 1;
                return self.fails("an escape");
            }
        })
    }

    fn unit(&mut self) -> Result<char, JsonError> {
        let first = self.four_digits()?;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let behind_first = self.at;
            self.at += 2;
            let second = self.four_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = behind_first;
        }
        match char::from_u32(first) {
            Some(character) => Ok(character),
            None if self.repairs => Ok(char::REPLACEMENT_CHARACTER),
            None => self.fails("the other half of a surrogate pair"),
        }
    }

    fn four_digits(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let value = digits.and_then(|digits| {
            digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
        });
        match value {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => self.fails("four hexadecimal digits"),
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let begin = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let has_zero = self.peek() == Some(b'0');
        let whole = self.digits()?;
        if has_zero && whole > 1 {
            self.at = begin;
            return self.fails("a number without leading zeros");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Json::number(&self.text[begin..self.at]))
    }

    /// Passes at least one digit, and returns how many there were.
    fn digits(&mut self) -> Result<usize, JsonError> {
        let digits = self.text.as_bytes()[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { self.fails("a digit") } else { Ok(digits) }
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return self.fails("null, true or false");
        }
        self.at += word.len();
        Ok(value)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes this byte and the space before it, if it comes next.
    fn passes(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fails<T>(&self, expected: &'static str) -> Result<T, JsonError> {
        Err(JsonError { at: self.at, expected })
    }
}
