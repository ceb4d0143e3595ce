//! Values to JSON: into the bytes of a record, and never in the way of the call they belong to.

mod key;
mod simple;

use crate::json::{Json, JsonError, JsonWriter};
use crate::mask::{Mask, REDACTED};
use crate::payload::data::{self, MOST_JSON};
use crate::personal::MARK;
use crate::url::mask_urls;
use serde::{Serialize, Serializer as _};
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
            && let Ok(json) = data.parse::<Json>()
        {
            let masked = written(JsonWriter::again(&mut Vec::new(), &self.mask), &json);
            data = Cow::Owned(masked.unwrap_or_else(|error| failure(&error)));
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

    /// Returns how many bytes of the object there are.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.begin
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
        write: &mut dyn FnMut(&mut JsonWriter<'_>) -> serde_json::Result<()>,
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

    fn value(&mut self, rules: &Rules, write: &mut dyn FnMut(&mut JsonWriter<'_>) -> serde_json::Result<()>) {
        let begin = self.buffer.len();
        let room = (self.begin + rules.limit.min(usize::MAX / 2)).max(begin);
        let mut json = JsonWriter::new(&mut self.buffer, &rules.mask, room);
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
        self.buffer.extend_from_slice(failure(error).as_bytes());
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

/// Returns the note of a value that cannot be captured.
fn failure(error: &str) -> String {
    [("$error", &*mask_urls(error))].into_iter().collect::<Json>().to_string()
}

/// What stands in place of data over the limit.
fn truncated(bytes: u64, hash: &[u8]) -> String {
    format!(r#"{{"$truncated":{bytes},"$sha256":"{}"}}"#, hex(hash))
}

/// Returns what stands in place of this JSON.
pub(crate) fn truncated_json(json: &str) -> String {
    truncated(json.len() as u64, &Sha256::digest(json))
}

/// Writes one value by serde as JSON, with the known secrets masked.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, String> {
    written(JsonWriter::new(&mut Vec::new(), &Rules::UNBOUND.mask, usize::MAX), value)
}

/// Takes one value by serde to be compared with another: see [`JsonWriter::for_comparison`].
pub(crate) fn comparable<T: Serialize + ?Sized>(mask: &Mask, value: &T) -> Result<Json, String> {
    let json = written(JsonWriter::for_comparison(&mut Vec::new(), mask), value)?;
    json.parse().map_err(|error: JsonError| error.to_string())
}

fn written<T: Serialize + ?Sized>(mut json: JsonWriter<'_>, value: &T) -> Result<String, String> {
    match catch_unwind(AssertUnwindSafe(|| value.serialize(&mut json))) {
        Ok(Ok(())) => json.into_text(),
        Ok(Err(error)) => Err(error.to_string()),
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

/// Returns the message of a panic, if that is a text.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> Option<&str> {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic_text(panic).unwrap_or("with a value that is no text")
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
    use serde_json::{Value, json};
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
    fn raw_json_is_masked_and_keeps_its_digits_and_the_rest_of_what_is_odd() {
        let raw = |text: &str| to_json(&serde_json::value::RawValue::from_string(text.into()).unwrap()).unwrap();
        for (given, expected) in [
            (r#"{"token": 1, "b": 1.50}"#, r#"{"b":1.50,"token":"[redacted]"}"#),
            (r#"{"price":  1.5000000000000000000001}"#, r#"{"price":1.5000000000000000000001}"#),
            (r#"{"a":"\ud800","b":[1e400,1e131071]}"#, "{\"a\":\"\u{fffd}\",\"b\":[1e400,1e131071]}"),
            (r#"[1e131072, -1e-16384]"#, r#"["1e131072","-1e-16384"]"#),
            ("1e999999999999999999999", r#""1e999999999999999999999""#),
            (r#"{"\u0000":1,"\\u0000":2}"#, r#"{"\u0000":1,"\\\\u0000":2}"#),
        ] {
            assert_eq!(raw(given), expected);
        }
    }

    #[test]
    fn keys_that_differ_by_nul_alone_stay_apart() {
        let keys = ["a\0", "a\u{fffd}", "a\\u0000", "a\\\0", "a\\\\u0000", "a\\\\\0", "\0\0", "\\u0000\0", "\0\\u0000"];
        let map: BTreeMap<&str, usize> = keys.iter().copied().zip(0..).collect();
        // As the writer stores them.
        let json = crate::nul::without_nul_escapes(&to_json(&map).unwrap()).into_owned();
        let stored: BTreeMap<String, usize> = serde_json::from_str(&json).unwrap();
        assert_eq!(stored.len(), keys.len(), "{json}");
    }

    #[test]
    fn values_that_carry_their_name_beside_them_are_masked() {
        #[derive(Serialize)]
        #[serde(tag = "kind", content = "value")]
        enum Credential {
            Password(&'static str),
            Ticker(&'static str),
        }
        #[derive(Serialize)]
        struct Backwards {
            value: &'static str,
            name: &'static str,
        }
        #[derive(Serialize)]
        struct ApiKey(&'static str);
        #[derive(Serialize)]
        struct TokenAmount(f64);
        let redacted = "[redacted]";
        assert_eq!(
            one((Credential::Password("x"), Credential::Ticker("AAPL"))),
            json!([{"kind": "Password", "value": redacted}, {"kind": "Ticker", "value": "AAPL"}])
        );
        assert_eq!(
            one([Backwards { value: "x", name: "password" }, Backwards { value: "y", name: "ticker" }]),
            json!([{"value": redacted, "name": "password"}, {"value": "y", "name": "ticker"}])
        );
        assert_eq!(
            one(vec![("Authorization", "Bearer x"), ("Accept", "*/*")]),
            json!([["Authorization", redacted], ["Accept", "*/*"]])
        );
        assert_eq!(one(json!([["Cookie", "x"], ["Accept", "*/*"]])), json!([["Cookie", redacted], ["Accept", "*/*"]]));
        assert_eq!(one(json!({"changed": ["password", "email"]})), json!({"changed": ["password", "email"]}));
        assert_eq!(one(json!([{"key": "password", "value": 7}])), json!([{"key": "password", "value": redacted}]));
        assert_eq!(one((ApiKey("x"), TokenAmount(1.5))), json!([redacted, 1.5]));
    }

    #[test]
    fn user_and_password_in_a_url_are_masked_in_any_text() {
        let url = "postgres://ann:hunter2@db/x";
        let data = captured(|fields| {
            fields.serialize(&rules(), "by_serde", &format!("cannot reach {url}: refused"));
            fields.display(&rules(), "by_display", &format_args!("{}://{}:{}@{}", "postgres", "ann", "hunter2", "db"));
            fields.debug(&rules(), "by_debug", &Some(url));
            fields.serialize(
                &rules(),
                "raw",
                &serde_json::value::RawValue::from_string(json!([url]).to_string()).unwrap(),
            );
        });
        assert!(!data.to_string().contains("hunter2"), "{data}");
        assert_eq!(data["by_debug"], "Some(\"postgres://[redacted]@db/x\")");
    }

    #[test]
    fn just_the_keys_that_a_call_excepts_are_on_record() {
        #[derive(Serialize)]
        struct ApiKey(&'static str);
        #[derive(Serialize)]
        struct Order {
            token_in: &'static str,
            key: ApiKey,
            pair: (&'static str, &'static str),
            legs: Vec<BTreeMap<&'static str, &'static str>>,
            inner: BTreeMap<&'static str, &'static str>,
            credentials: BTreeMap<&'static str, &'static str>,
        }
        let tokens = || BTreeMap::from([("token", "USDC"), ("pin", "1")]);
        let order = Order {
            token_in: "USDC",
            key: ApiKey("x"),
            pair: ("password", "hunter2"),
            legs: vec![tokens(), tokens()],
            inner: BTreeMap::from([("token_in", "y")]),
            credentials: BTreeMap::from([("user", "ann"), ("raw", "hunter2")]),
        };
        let data = captured(|fields| {
            fields.field(&Rules { limit: 4_000, mask: Mask::default() }, "order", &mut |json| {
                json.except(&order, &["token_in", "legs.token", "credentials.user"])
            });
        });
        let leg = json!({"token": "USDC", "pin": "[redacted]"});
        assert_eq!(
            data["order"],
            json!({"token_in": "USDC", "key": "[redacted]", "pair": ["password", "[redacted]"], "legs": [leg, leg],
                   "inner": {"token_in": "[redacted]"}, "credentials": "[redacted]"})
        );
    }

    #[test]
    fn secrets_are_masked_wherever_their_names_and_urls_stand() {
        let url = "postgres://ann:hunter2@db/x";
        struct Failing;
        impl Serialize for Failing {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no answer of postgres://ann:hunter2@db/x"))
            }
        }
        let data = captured(|fields| {
            fields.serialize(&Rules { limit: 4_000, mask: Mask::default() }, "all", &json!([
                {url: 1}, {"data": "hunter2", "body": "hunter2", "key": "password"}, {"kind": "pin", "value": "hunter2"},
                {"type": "TokenMinted", "data": {"amount": 1}}, {"field": "password", "code": "too_short"},
            ]));
            fields.serialize(&rules(), "failing", &Failing);
        });
        assert!(!data.to_string().contains("hunter2"), "{data}");
        assert_eq!(data["all"][3]["data"], json!({"amount": 1}));
        assert_eq!(data["all"][4]["code"], "too_short");
        // However deep: what a handle masks is masked, or not on record.
        let mut rules = Rules { limit: usize::MAX, mask: Mask::default() };
        rules.mask.add("iban");
        let deep = format!("{{\"a\":{}{{\"iban\":\"DE89\"}}{}}}", "[".repeat(99), "]".repeat(99));
        for deep in [deep.clone(), format!("{}{deep}{}", "[".repeat(50), "]".repeat(50))] {
            assert!(!rules.settle(&deep).contains("DE89"));
        }
    }

    #[test]
    fn an_excepted_name_is_not_masked_inside_values() {
        let mut rules = rules();
        rules.mask.except("token_in");
        let data = captured(|fields| fields.serialize(&rules, "swap", &json!({"token_in": "USDC", "token": "x"})));
        assert_eq!(data["swap"], json!({"token_in": "USDC", "token": "[redacted]"}));
        assert_eq!(
            rules.settle(r#"{"token_in":1,"p":199.39999999999998}"#),
            r#"{"p":199.39999999999998,"token_in":1}"#
        );
    }

    #[test]
    fn sets_to_be_compared_have_one_order() {
        use std::collections::HashSet;
        #[derive(Serialize)]
        struct Holder(Vec<Option<HashSet<u32>>>);
        let numbers: Vec<u32> = (0..30).collect();
        let of = |numbers: &[u32]| {
            comparable(&Mask::NONE, &Holder(vec![Some(numbers.iter().copied().collect()), None])).unwrap()
        };
        assert_eq!(of(&numbers), of(&numbers.iter().rev().copied().collect::<Vec<_>>()));
        assert_eq!(comparable(&Mask::NONE, &vec![2, 1]).unwrap().to_string(), "[2,1]");
        assert_eq!(
            comparable(&Mask::NONE, &(f64::NAN, f32::INFINITY, 0.1_f32)).unwrap().to_string(),
            r#"["NaN","Infinity",0.1]"#
        );
    }

    #[test]
    fn secrets_are_compared_without_being_told() {
        #[derive(Serialize)]
        enum Credential<'a> {
            Password(&'a str),
            Token { text: &'a str },
        }
        let of = |secret: &str| {
            let url = format!("redis://:{secret}@host");
            let variants = (Credential::Password(secret), Credential::Token { text: secret });
            let value = (json!({"password": secret}), [("pin", secret)], url, variants.0, variants.1);
            comparable(&Mask::NONE, &value).unwrap()
        };
        assert_eq!(of("hunter2"), of("hunter2"));
        for at in 0..5 {
            assert_ne!(of("hunter2")[at], of("hunter3")[at]);
        }
        assert!(!of("hunter2").to_string().contains("hunter2"));
    }

    #[test]
    fn a_handles_own_rules_are_applied_to_data_that_is_json_already() {
        let mut rules = rules();
        rules.mask.add("iban");
        assert_eq!(rules.settle(r#"{"a": 1.50}"#), r#"{"a":1.50}"#);
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
