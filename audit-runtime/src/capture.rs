//! Values to JSON: into the bytes of a record, and never in the way of the call they belong to.

mod key;
mod simple;

use crate::json::Json;
use crate::mask::{Mask, REDACTED};
use crate::payload::data::{self, MOST_JSON};
use crate::personal::MARK;
use serde::{Serialize, Serializer as _};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::{Debug, Display, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use key::KEY;
pub use key::Key;
pub(crate) use simple::Simple;

/// The most bytes of data, by default.
pub(crate) const DATA_LIMIT: usize = 64 * 1024;

/// What an event's data may be.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The most bytes of data.
    pub(crate) limit: usize,
    pub(crate) mask: Mask,
}

impl Rules {
    /// What holds for data that is made before its handle is known.
    pub(crate) const UNBOUND: &'static Self = &Self { limit: usize::MAX, mask: Mask::NONE };

    /// Data that is JSON already, with what these rules say beyond those it was made under.
    #[inline]
    pub(crate) fn settle<'a>(&self, data: &'a str) -> Cow<'a, str> {
        if data.is_empty() {
            return Cow::Borrowed(data);
        }
        self.settled(data)
    }

    fn settled<'a>(&self, data: &'a str) -> Cow<'a, str> {
        let mut data = Cow::Borrowed(data);
        if !self.mask.is_empty()
            && let Ok(mut value) = serde_json::from_str::<Value>(&data)
            && self.mask.apply(&mut value)
        {
            data = Cow::Owned(value.to_string());
        }
        if data.len() > self.limit {
            data = Cow::Owned(truncated(data.len() as u64, &Sha256::digest(data.as_bytes())));
        }
        data
    }
}

/// A JSON object that grows field by field, each with a comma behind it, behind what its buffer holds already.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    buffer: Vec<u8>,
    begin: usize,
    next: Next,
    /// As long as the buffer is no longer, simple values are put as they are: nothing is to be masked, and no limit is near.
    simple_to: usize,
}

/// What the next field is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Next {
    /// A value like any other.
    #[default]
    Plain,
    /// Personal: it is marked.
    Personal,
    /// Personal, where that cannot be encrypted.
    Redacted,
}

impl Fields {
    /// Begins the object at the end of `buffer`.
    pub(crate) fn new(mut buffer: Vec<u8>) -> Self {
        let begin = buffer.len();
        buffer.push(b'{');
        Self { buffer, begin, next: Next::Plain, simple_to: 0 }
    }

    /// Says what the next field is.
    pub(crate) fn next(&mut self, next: Next) {
        self.next = next;
        self.simple_to = 0;
    }

    /// Copies what there is so far, and ends the copy.
    pub(crate) fn copy_to(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.buffer);
        end(buffer, self.begin);
    }

    /// Ends the object; gives the buffer.
    #[inline]
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        end(&mut self.buffer, self.begin);
        &mut self.buffer
    }

    /// Begins another object in the same buffer, behind what is put there.
    #[inline]
    pub(crate) fn restart(&mut self, rules: &Rules, before: impl FnOnce(&mut Vec<u8>)) {
        before(&mut self.buffer);
        self.begin = self.buffer.len();
        self.buffer.push(b'{');
        self.plain(rules);
    }

    /// The next field is like any other.
    #[inline]
    fn plain(&mut self, rules: &Rules) {
        self.next = Next::Plain;
        self.simple_to = if rules.mask.is_empty() { self.begin.saturating_add(rules.limit / MOST_JSON) } else { 0 };
    }

    /// How many bytes the buffer has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// A value by serde.
    pub(crate) fn serialize<T: Serialize + ?Sized>(&mut self, rules: &Rules, name: &str, value: &T) {
        self.field(rules, name, &mut |json| value.serialize(json));
    }

    /// A value by its `Display`.
    pub(crate) fn display<T: Display + ?Sized>(&mut self, rules: &Rules, name: &str, value: &T) {
        self.field(rules, name, &mut |json| json.collect_str(value));
    }

    /// A value by its `Debug`.
    pub(crate) fn debug<T: Debug + ?Sized>(&mut self, rules: &Rules, name: &str, value: &T) {
        self.field(rules, name, &mut |json| json.collect_str(&format_args!("{value:?}")));
    }

    /// Puts what `write` writes under `name`. If it fails or panics, the field says so and nothing else changes; if
    /// the object becomes too large, its length and hash stand in its place.
    ///
    /// The one way in, behind a `dyn`, so that an annotated function brings little code of its own.
    pub(crate) fn field(
        &mut self,
        rules: &Rules,
        name: &str,
        write: &mut dyn FnMut(&mut Json<'_>) -> serde_json::Result<()>,
    ) {
        self.buffer.reserve(name.len() + 64);
        self.buffer.push(b'"');
        // Names are Rust identifiers, "result", "error", or checked by the macro: nothing in them needs escaping.
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
        match self.next {
            Next::Plain if !rules.mask.names(name) => self.value(rules, write),
            Next::Personal if !rules.mask.names(name) => {
                self.buffer.extend_from_slice(MARK.as_bytes());
                self.value(rules, write);
                self.buffer.push(b'}');
            }
            _ => {
                let _ = serde_json::to_writer(&mut self.buffer, REDACTED);
            }
        }
        self.buffer.push(b',');
        self.plain(rules);
    }

    fn value(&mut self, rules: &Rules, write: &mut dyn FnMut(&mut Json<'_>) -> serde_json::Result<()>) {
        let begin = self.buffer.len();
        let room = (self.begin + rules.limit.min(usize::MAX / 2)).max(begin);
        let mut json = Json::new(&mut self.buffer, &rules.mask, room);
        let written = catch_unwind(AssertUnwindSafe(|| write(&mut json)));
        match (written, json.end()) {
            (Ok(Ok(())), None) => self.check_limit(rules, begin),
            (Ok(Ok(())), Some((bytes, hash))) => self.buffer.extend_from_slice(truncated(bytes, &hash).as_bytes()),
            (Ok(Err(error)), _) => self.failed(begin, &error.to_string()),
            (Err(panic), _) => self.failed(begin, &format!("panicked: {}", panic_message(panic.as_ref()))),
        }
    }

    /// Replaces the value that begins here if the object is too large with it: simple values before it take more once they are JSON.
    #[inline]
    fn check_limit(&mut self, rules: &Rules, begin: usize) {
        if self.buffer.len() - self.begin > rules.limit / MOST_JSON {
            self.check_json_limit(rules, begin);
        }
    }

    fn check_json_limit(&mut self, rules: &Rules, begin: usize) {
        let (before, value) = self.buffer[self.begin..].split_at(begin - self.begin);
        let mut json = Vec::new();
        let before = data::json(before, &mut json).map_or(before.len(), <[u8]>::len);
        if before + value.len() > rules.limit {
            let truncated = truncated(value.len() as u64, &Sha256::digest(value));
            self.buffer.truncate(begin);
            self.buffer.extend_from_slice(truncated.as_bytes());
        }
    }

    #[cold]
    fn failed(&mut self, begin: usize, error: &str) {
        self.buffer.truncate(begin);
        let _ = serde_json::to_writer(&mut self.buffer, &serde_json::json!({ "$error": error }));
    }
}

/// Ends an object that begins here: each of its fields has a comma behind it.
#[inline]
fn end(buffer: &mut Vec<u8>, begin: usize) {
    if buffer.len() > begin + 1 {
        buffer.pop();
    }
    buffer.push(b'}');
}

/// What stands in place of data over the limit.
fn truncated(bytes: u64, hash: &[u8]) -> String {
    format!(r#"{{"$truncated":{bytes},"$sha256":"{}"}}"#, hex(hash))
}

/// One value by serde, as text, with the known secrets masked.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, String> {
    let mut buffer = Vec::new();
    let mut json = Json::new(&mut buffer, &Rules::UNBOUND.mask, usize::MAX);
    match catch_unwind(AssertUnwindSafe(|| value.serialize(&mut json))) {
        Ok(Ok(())) => String::from_utf8(buffer).map_err(|error| error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_message(panic.as_ref()))),
    }
}

/// One value by serde, as it is: secrets are masked when it is written.
pub(crate) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, String> {
    match catch_unwind(AssertUnwindSafe(|| serde_json::to_value(value))) {
        Ok(value) => value.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_message(panic.as_ref()))),
    }
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

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("with a value that is no text")
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
    use crate::mask::MAX_DEPTH;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn rules() -> Rules {
        Rules { limit: 400, mask: Mask::default() }
    }

    fn captured(capture: impl FnOnce(&mut Fields)) -> Value {
        let mut fields = Fields::new(Vec::new());
        capture(&mut fields);
        serde_json::from_slice(fields.end()).unwrap()
    }

    fn one(value: impl Serialize) -> Value {
        captured(|fields| fields.serialize(&rules(), "value", &value))["value"].take()
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
            fields.serialize(&rules(), "a", &1);
            fields.serialize(&rules(), "b", &Failing);
            fields.serialize(&rules(), "c", &Panicking);
            fields.serialize(&rules(), "d", &f64::NAN);
        });
        assert_eq!(
            data,
            json!({"a": 1, "b": {"$error": "no more"}, "c": {"$error": "panicked: in serialize"}, "d": null})
        );
    }

    #[test]
    fn a_field_over_the_limit_is_replaced_by_its_length_and_hash() {
        let long = "x".repeat(1000);
        let data = captured(|fields| {
            fields.serialize(&rules(), "long", &long);
            fields.serialize(&rules(), "short", &true);
            fields.serialize(&rules(), "many", &vec![1; 500]);
        });
        let hash = |json: String| hex(&Sha256::digest(json));
        assert_eq!(
            data,
            json!({
                "long": {"$truncated": 1002, "$sha256": hash(format!("\"{long}\""))},
                "short": true,
                "many": {"$truncated": 1001, "$sha256": hash(json!(vec![1; 500]).to_string())},
            })
        );
    }

    #[test]
    fn what_is_beyond_the_limit_takes_no_memory() {
        let mut fields = Fields::new(Vec::new());
        fields.serialize(&rules(), "huge", &"x".repeat(10_000_000));
        assert!(fields.end().capacity() < 4096);
    }

    #[test]
    fn display_and_debug_are_escaped() {
        let text = "a \"quoted\" \\ line\nand\ttab \u{1} \u{7f} ü";
        let data = captured(|fields| {
            fields.display(&rules(), "display", text);
            fields.debug(&rules(), "debug", &Some(1));
        });
        assert_eq!(data, json!({"display": text, "debug": "Some(1)"}));
    }

    #[test]
    fn secrets_inside_values_are_masked_however_they_are_nested() {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Login {
            user: &'static str,
            api_key: [u8; 3],
            card: Card,
        }
        #[derive(Serialize)]
        enum Card {
            Known { card_number: u64, expires: &'static str },
            Token(BTreeMap<&'static str, u8>),
        }
        let login = |card| one(Login { user: "ann", api_key: [1, 2, 3], card });
        assert_eq!(
            login(Card::Known { card_number: 4111, expires: "01/30" }),
            json!({"user": "ann", "apiKey": "[redacted]",
                   "card": {"Known": {"card_number": "[redacted]", "expires": "01/30"}}})
        );
        assert_eq!(
            login(Card::Token(BTreeMap::from([("password", 1)]))),
            json!({"user": "ann", "apiKey": "[redacted]", "card": {"Token": "[redacted]"}})
        );
        let nested = json!({"secret": {"pin": {"a": [{}]}, "b": 1}, "open": [{"pin": 1}, {"x": 2}]});
        assert_eq!(one(nested), json!({"secret": "[redacted]", "open": [{"pin": "[redacted]"}, {"x": 2}]}));
    }

    #[test]
    fn nesting_ends_before_a_stack_or_a_reader_does() {
        fn nested(levels: usize) -> Value {
            (0..levels).fold(json!(1), |inner, _| json!([inner]))
        }
        assert_eq!(one(nested(MAX_DEPTH)), nested(MAX_DEPTH));
        // (Dropping one of many more overflows the stack by itself.)
        let error = one(nested(1_000));
        assert!(error["$error"].as_str().unwrap().contains("100 arrays and objects"), "{error}");
    }

    #[test]
    fn odd_values_are_kept_or_told() {
        assert_eq!(one(u128::MAX).to_string().parse::<f64>().unwrap(), u128::MAX as f64);
        assert_eq!(one(BTreeMap::from([(1, 'a'), (2, 'b')])), json!({"1": "a", "2": "b"}));
        assert_eq!(one(BTreeMap::from([(vec![1], 2)])), json!({"$error": "key must be a string"}));
        assert_eq!(one("a\0b"), json!("a\0b"));
    }

    #[test]
    fn raw_json_is_masked_and_no_lone_surrogate_passes() {
        let raw = |text: &str| serde_json::value::RawValue::from_string(text.into()).unwrap();
        assert_eq!(one(raw(r#"{"a": {"token": 1}, "b": 1.50}"#)), json!({"a": {"token": "[redacted]"}, "b": 1.5}));
        let kept = to_json(&raw(r#"{"price":  1.5000000000000000000001}"#)).unwrap();
        assert_eq!(kept, r#"{"price":  1.5000000000000000000001}"#);
        assert!(one(raw(r#""\ud800""#))["$error"].is_string());
    }

    #[test]
    fn a_handles_own_rules_are_applied_to_data_that_is_json_already() {
        let mut rules = rules();
        rules.mask.add("iban");
        assert_eq!(rules.settle(r#"{"a": 1}"#), r#"{"a": 1}"#);
        assert_eq!(rules.settle(r#"{"a":{"iban":1}}"#), r#"{"a":{"iban":"[redacted]"}}"#);
        assert!(rules.settle(&format!(r#"{{"a":"{}"}}"#, "x".repeat(500))).starts_with(r#"{"$truncated":508,"#));
        let mut fields = Fields::new(Vec::new());
        fields.serialize(&rules, "iban", &"DE89");
        assert_eq!(*fields.end(), br#"{"iban":"[redacted]"}"#);
    }

    #[test]
    fn no_fields_are_an_empty_object() {
        assert_eq!(captured(|_| ()), json!({}));
    }
}
