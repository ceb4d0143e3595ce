//! A personal value: as it is captured, as it is stored.
//!
//! ```text
//! captured   {"$personal": value}                                       and beside it "$subject", whose it is
//! stored     {"$encrypted": {"key": id of the key, "value": base64}}
//! base64     of nonce [24] | XChaCha20-Poly1305 of the value's JSON; authenticated with "audit-personal 1\n" | event id [16] | name
//! nonce      the first 24 bytes of SHA-256("audit-nonce 1\n" | key [32] | event id [16] | name | 0x00 | the value's JSON)
//! ```
//!
//! The same value of the same event is the same text each time: whoever ships the journal of a dead process makes the rows that were sealed.

use super::master::{KEY, NONCE};
use crate::json::Json;
use crate::mask::REDACTED;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use uuid::Uuid;

/// What a personal value is wrapped in until it is encrypted.
pub(crate) const MARK: &str = r#"{"$personal":"#;
/// Names whose data they are.
pub(crate) const SUBJECT: &str = "$subject";
/// What it is wrapped in then.
const ENCRYPTED: &str = "$encrypted";

const AAD: &[u8] = b"audit-personal 1\n";
const NONCE_TAG: &[u8] = b"audit-nonce 1\n";

/// The fields of an event's data in their order, each as it is written.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(InOrder).map(Fields)
    }
}

/// The value inside of a mark.
fn marked(value: &RawValue) -> Option<&str> {
    value.get().strip_prefix(MARK)?.strip_suffix('}')
}

/// Data with each personal value replaced by what `replace` makes of its name and its JSON, and without the subject; data that is none is
/// given back.
fn replaced(data: &str, mut replace: impl FnMut(&str, &str) -> String) -> String {
    let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_>>(data) else {
        return data.to_owned();
    };
    let mut out = String::with_capacity(data.len() * 2);
    out.push('{');
    for (name, value) in fields.iter().filter(|(name, _)| name != SUBJECT) {
        if out.len() > 1 {
            out.push(',');
        }
        let _ = write!(out, "{}:", serde_json::Value::from(name.as_str()));
        match marked(value) {
            Some(value) => out.push_str(&replace(name, value)),
            None => out.push_str(value.get()),
        }
    }
    out.push('}');
    out
}

/// Whose data an event holds, if it says so.
pub(crate) fn subject(data: &str) -> Option<String> {
    let Fields(fields) = serde_json::from_str(data).ok()?;
    let (_, subject) = fields.into_iter().find(|(name, _)| name == SUBJECT)?;
    serde_json::from_str(subject.get()).ok()
}

/// The fields of an object, each marked, and whose they are.
pub(crate) fn marked_fields(subject: &str, data: &str) -> String {
    let mut out = format!("{:?}:{}", SUBJECT, serde_json::Value::from(subject));
    if let Ok(Fields(fields)) = serde_json::from_str(data) {
        for (name, value) in fields {
            let _ = write!(out, ",{}:{MARK}{}}}", serde_json::Value::from(name), value.get());
        }
    }
    out
}

/// Data without anything personal: for whoever could not encrypt it.
pub(crate) fn redact(data: &str) -> String {
    replaced(data, |_, _| format!("{REDACTED:?}"))
}

/// The key of a subject.
#[derive(Clone)]
pub(crate) struct SubjectKey {
    id: Uuid,
    key: [u8; KEY],
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({}, ..)", self.id)
    }
}

impl SubjectKey {
    pub(super) fn new(id: Uuid, key: [u8; KEY]) -> Self {
        Self { id, key }
    }

    /// An event's data as they are stored.
    pub(crate) fn encrypt(&self, event_id: Uuid, data: &str) -> String {
        let cipher = XChaCha20Poly1305::new(&self.key.into());
        replaced(data, |name, value| {
            let hash = Sha256::new()
                .chain_update(NONCE_TAG)
                .chain_update(self.key)
                .chain_update(event_id)
                .chain_update(name)
                .chain_update([0])
                .chain_update(value)
                .finalize();
            let mut nonce = [0; NONCE];
            nonce.copy_from_slice(&hash[..NONCE]);
            let payload = Payload { msg: value.as_bytes(), aad: &aad(event_id, name) };
            // It fails for what is longer than 256 GiB only.
            let text = cipher.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
            let text = STANDARD.encode([&nonce[..], &text].concat());
            format!(r#"{{"{ENCRYPTED}":{{"key":"{}","value":"{text}"}}}}"#, self.id)
        })
    }

    /// The JSON of a value of this event; `None` if it is none of this key.
    pub(super) fn decrypt(&self, event_id: Uuid, name: &str, text: &str) -> Option<Json> {
        let bytes = STANDARD.decode(text).ok()?;
        let (nonce, bytes) = bytes.split_first_chunk::<NONCE>()?;
        let cipher = XChaCha20Poly1305::new(&self.key.into());
        let payload = Payload { msg: bytes, aad: &aad(event_id, name) };
        String::from_utf8(cipher.decrypt(&XNonce::from(*nonce), payload).ok()?).ok()?.parse().ok()
    }
}

/// The key's id and the text of an encrypted value.
pub(super) fn encrypted(value: &Json) -> Option<(Uuid, &str)> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?.get(ENCRYPTED)?;
    Some((fields["key"].as_str()?.parse().ok()?, fields["value"].as_str()?))
}

fn aad(event_id: Uuid, name: &str) -> Vec<u8> {
    [AAD, event_id.as_bytes(), name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personal::master::random;
    use serde_json::json;

    const DATA: &str = r#"{"amount":1.10,"email":{"$personal":"ann@example.com"},"$subject":"customer:42","a\"b":{"$personal":{"x":[1,{}]}},"n":12345678901234567890123}"#;

    fn key() -> SubjectKey {
        SubjectKey::new(Uuid::now_v7(), random())
    }

    #[test]
    fn what_is_personal_is_encrypted_and_everything_else_is_as_it_was() {
        let (key, event) = (key(), Uuid::now_v7());
        assert_eq!(subject(DATA).as_deref(), Some("customer:42"));
        let stored = key.encrypt(event, DATA);
        assert!(stored.starts_with(r#"{"amount":1.10,"email":{"$encrypted":{"key":""#), "{stored}");
        assert!(stored.ends_with(r#","n":12345678901234567890123}"#), "{stored}");
        assert!(!stored.contains("ann") && !stored.contains("customer"), "{stored}");
        assert_eq!(stored, key.encrypt(event, DATA));
        let value: Json = stored.parse().unwrap();
        for (name, expected) in [("email", json!("ann@example.com")), ("a\"b", json!({"x": [1, {}]}))] {
            let (id, text) = encrypted(&value[name]).unwrap();
            assert_eq!(id, key.id);
            assert_eq!(key.decrypt(event, name, text), Some(expected.into()));
            // What is copied elsewhere is not read there.
            assert_eq!(key.decrypt(Uuid::now_v7(), name, text), None);
            assert_eq!(key.decrypt(event, "other", text), None);
            assert_eq!(SubjectKey::new(key.id, random()).decrypt(event, name, text), None);
        }
    }

    #[test]
    fn the_same_value_of_another_event_or_name_has_another_text() {
        let key = key();
        let stored = key.encrypt(Uuid::now_v7(), r#"{"a":{"$personal":1},"b":{"$personal":1}}"#);
        let value: Json = stored.parse().unwrap();
        assert_ne!(encrypted(&value["a"]), encrypted(&value["b"]));
        assert_ne!(stored, key.encrypt(Uuid::now_v7(), r#"{"a":{"$personal":1},"b":{"$personal":1}}"#));
    }

    #[test]
    fn what_cannot_be_encrypted_is_redacted() {
        assert_eq!(
            redact(DATA),
            r#"{"amount":1.10,"email":"[redacted]","a\"b":"[redacted]","n":12345678901234567890123}"#
        );
        for odd in ["", "[]", "{", "1"] {
            assert_eq!((redact(odd).as_str(), subject(odd)), (odd, None));
        }
    }
}
