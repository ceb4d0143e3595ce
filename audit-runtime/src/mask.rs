//! Keys that say secret, masked while a value becomes JSON: what they hold never reaches the buffer.

use crate::secret::{says_secret, words};
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};
use std::cell::Cell;
use std::io;

/// Written in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// Arrays and objects within each other that a captured value may have. `serde_json` reads 127, the event's own object
/// and a reader's envelope take some.
pub(crate) const MAX_DEPTH: usize = 100;

/// The names that an application adds to those known here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mask(Vec<Vec<String>>);

impl Mask {
    /// Knows no further names.
    pub(crate) const NONE: Self = Self(Vec::new());

    /// Adds a name, matched by whole words as the known ones are.
    pub(crate) fn add(&mut self, name: &str) {
        let name: Vec<String> = words(name).map(str::to_ascii_lowercase).collect();
        if !name.is_empty() {
            self.0.push(name);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the application named this as a secret.
    pub(crate) fn names(&self, name: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let words: Vec<&str> = words(name).collect();
        self.0.iter().any(|secret| {
            words.windows(secret.len()).any(|window| window.iter().zip(secret).all(|(a, b)| a.eq_ignore_ascii_case(b)))
        })
    }

    /// Whether a key inside a captured value holds a secret.
    pub(crate) fn covers(&self, key: &str) -> bool {
        says_secret(key) || self.names(key)
    }

    /// Masks a value that is JSON already; says whether anything was masked.
    pub(crate) fn apply(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(fields) => fields.iter_mut().fold(false, |masked, (key, value)| {
                if self.covers(key) {
                    *value = REDACTED.into();
                    return true;
                }
                self.apply(value) | masked
            }),
            Value::Array(values) => values.iter_mut().fold(false, |masked, value| self.apply(value) | masked),
            _ => false,
        }
    }
}

/// Compact JSON, without what secret-looking keys hold, and no deeper than [`MAX_DEPTH`].
#[derive(Debug)]
pub(crate) struct Masking<'a> {
    mask: &'a Mask,
    /// Read by the writer behind: what is written meanwhile is dropped.
    muted: &'a Cell<bool>,
    depth: usize,
    in_key: bool,
    secret_key: bool,
    /// The depth of the object whose value is muted.
    muted_at: usize,
}

impl<'a> Masking<'a> {
    pub(crate) fn new(mask: &'a Mask, muted: &'a Cell<bool>) -> Self {
        Self { mask, muted, depth: 0, in_key: false, secret_key: false, muted_at: 0 }
    }

    fn deeper(&mut self) -> io::Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(io::Error::other(format!("more than {MAX_DEPTH} arrays and objects within each other")));
        }
        Ok(())
    }
}

impl Formatter for Masking<'_> {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        writer.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        writer.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.in_key = true;
        if first { Ok(()) } else { writer.write_all(b",") }
    }

    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if self.in_key && self.mask.covers(fragment) {
            self.secret_key = true;
        }
        writer.write_all(fragment.as_bytes())
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_key = false;
        writer.write_all(b":")?;
        if std::mem::take(&mut self.secret_key) && !self.muted.get() {
            serde_json::to_writer(&mut *writer, REDACTED)?;
            self.muted.set(true);
            self.muted_at = self.depth;
        }
        Ok(())
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        if self.depth == self.muted_at && self.muted.get() {
            self.muted.set(false);
        }
        Ok(())
    }

    /// Raw JSON is looked into, for it may hold keys too; it stays as it is unless it has to be changed.
    fn write_raw_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut value: Value = serde_json::from_str(fragment)?;
        if self.mask.apply(&mut value) || self.depth + depth(&value) > MAX_DEPTH {
            let inner = Masking { depth: self.depth, ..Masking::new(self.mask, self.muted) };
            value.serialize(&mut Serializer::with_formatter(&mut *writer, inner))?;
            return Ok(());
        }
        writer.write_all(fragment.as_bytes())
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn added_names_are_matched_by_whole_words_too() {
        let mut mask = Mask::default();
        mask.add("iban");
        mask.add("mother_name");
        mask.add("__");
        for secret in ["iban", "userIban", "MotherName", "the_mother_name_of", "password"] {
            assert!(mask.covers(secret), "{secret}");
        }
        for plain in ["ibanez", "mother", "name", "mother_s_name"] {
            assert!(!mask.covers(plain), "{plain}");
        }
    }

    #[test]
    fn a_value_is_masked_at_any_depth() {
        let mut value = json!({"a": [{"token": {"b": 1}}], "b": {"c": 2}});
        assert!(Mask::NONE.apply(&mut value));
        assert_eq!(value, json!({"a": [{"token": "[redacted]"}], "b": {"c": 2}}));
        assert!(!Mask::NONE.apply(&mut json!({"a": [1, {"b": "token"}]})));
    }
}
