//! Values to JSON: into the bytes of a record, and never in the way of the call they belong to.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::{self, Debug, Display, Write as _};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A JSON object that grows field by field behind what its buffer holds already.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) buffer: Vec<u8>,
    begin: usize,
    limit: usize,
}

impl Fields {
    /// Begins the object at the end of `buffer`; with a field more than `limit` bytes of data, that field is
    /// replaced by its length and hash.
    pub(crate) fn new(mut buffer: Vec<u8>, limit: usize) -> Self {
        let begin = buffer.len();
        buffer.push(b'{');
        Self { buffer, begin, limit }
    }

    /// Ends the object and gives the buffer back.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.buffer.push(b'}');
        self.buffer
    }

    /// A value by serde.
    pub(crate) fn serialize<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.field(name, |buffer| serde_json::to_writer(buffer, value).map_err(|error| error.to_string()));
    }

    /// What a closure makes, by serde.
    pub(crate) fn serialize_with<T: Serialize>(&mut self, name: &str, make: impl FnOnce() -> T) {
        self.field(name, |buffer| serde_json::to_writer(buffer, &make()).map_err(|error| error.to_string()));
    }

    /// A value by its `Display`.
    pub(crate) fn display<T: Display + ?Sized>(&mut self, name: &str, value: &T) {
        self.field(name, |buffer| format_into(buffer, format_args!("{value}")));
    }

    /// A value by its `Debug`.
    pub(crate) fn debug<T: Debug + ?Sized>(&mut self, name: &str, value: &T) {
        self.field(name, |buffer| format_into(buffer, format_args!("{value:?}")));
    }

    /// Puts the result of `write` under `name`. If it fails or panics, the field says so and nothing else changes.
    fn field(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) {
        if self.buffer.len() > self.begin + 1 {
            self.buffer.push(b',');
        }
        // Names are Rust identifiers or "result", "error": nothing in them needs escaping.
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
        let begin = self.buffer.len();
        let written = catch_unwind(AssertUnwindSafe(|| write(&mut self.buffer)))
            .unwrap_or_else(|panic| Err(format!("panicked: {}", panic_message(panic.as_ref()))));
        if let Err(error) = written {
            self.buffer.truncate(begin);
            write_error(&mut self.buffer, &error);
        } else if self.buffer.len() - self.begin > self.limit {
            let value = &self.buffer[begin..];
            let replacement =
                format!(r#"{{"$truncated":{},"$sha256":"{}"}}"#, value.len(), hex(&Sha256::digest(value)));
            self.buffer.truncate(begin);
            self.buffer.extend_from_slice(replacement.as_bytes());
        }
    }
}

/// One value by serde, as text.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, String> {
    catch_unwind(AssertUnwindSafe(|| serde_json::to_string(value).map_err(|error| error.to_string())))
        .unwrap_or_else(|panic| Err(format!("panicked: {}", panic_message(panic.as_ref()))))
}

/// A value by its `Display`, as text.
pub(crate) fn text<T: Display + ?Sized>(value: &T) -> String {
    let mut text = String::new();
    match catch_unwind(AssertUnwindSafe(|| write!(text, "{value}"))) {
        Ok(Ok(())) => text,
        Ok(Err(_)) => "[its formatting failed]".into(),
        Err(panic) => format!("[its formatting panicked: {}]", panic_message(panic.as_ref())),
    }
}

fn write_error(buffer: &mut Vec<u8>, message: &str) {
    buffer.extend_from_slice(br#"{"$error":"#);
    let _ = serde_json::to_writer(&mut *buffer, message);
    buffer.push(b'}');
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("with a value that is no text")
}

fn format_into(buffer: &mut Vec<u8>, arguments: fmt::Arguments<'_>) -> Result<(), String> {
    buffer.push(b'"');
    write!(Escaped(buffer), "{arguments}").map_err(|_| "its formatting failed".to_owned())?;
    buffer.push(b'"');
    Ok(())
}

/// Formats into a JSON string without a copy in between.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape: Option<&[u8]> = match byte {
                b'"' => Some(b"\\\""),
                b'\\' => Some(b"\\\\"),
                b'\n' => Some(b"\\n"),
                b'\t' => Some(b"\\t"),
                0..0x20 => None,
                _ => continue,
            };
            self.0.extend_from_slice(&text.as_bytes()[plain..at]);
            match escape {
                Some(escape) => self.0.extend_from_slice(escape),
                None => std::io::Write::write_fmt(self.0, format_args!("\\u{byte:04x}")).map_err(|_| fmt::Error)?,
            }
            plain = at + 1;
        }
        self.0.write_all(&text.as_bytes()[plain..]).map_err(|_| fmt::Error)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn captured(capture: impl FnOnce(&mut Fields)) -> Value {
        let mut fields = Fields::new(Vec::new(), 200);
        capture(&mut fields);
        serde_json::from_slice(&fields.end()).unwrap()
    }

    struct Failing;
    impl Serialize for Failing {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{Error, SerializeMap};
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("half", "written")?;
            Err(S::Error::custom("no more"))
        }
    }

    struct Panicking;
    impl Serialize for Panicking {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("in serialize")
        }
    }

    #[test]
    fn a_value_that_fails_or_panics_spoils_only_its_own_field() {
        let data = captured(|fields| {
            fields.serialize("a", &1);
            fields.serialize("b", &Failing);
            fields.serialize("c", &Panicking);
            fields.serialize("d", &f64::NAN);
        });
        assert_eq!(
            data,
            json!({"a": 1, "b": {"$error": "no more"}, "c": {"$error": "panicked: in serialize"}, "d": null})
        );
    }

    #[test]
    fn a_field_over_the_limit_is_replaced_by_its_length_and_hash() {
        let data = captured(|fields| {
            fields.serialize("long", &"x".repeat(1000));
            fields.serialize("short", &true);
        });
        let hash = hex(&Sha256::digest(format!("\"{}\"", "x".repeat(1000))));
        assert_eq!(data, json!({"long": {"$truncated": 1002, "$sha256": hash}, "short": true}));
    }

    #[test]
    fn display_and_debug_are_escaped() {
        let text = "a \"quoted\" \\ line\nand\ttab \u{1} \u{7f} ü";
        let data = captured(|fields| {
            fields.display("display", text);
            fields.debug("debug", &Some(1));
        });
        assert_eq!(data, json!({"display": text, "debug": "Some(1)"}));
    }

    #[test]
    fn no_fields_are_an_empty_object() {
        assert_eq!(captured(|_| ()), json!({}));
    }
}
