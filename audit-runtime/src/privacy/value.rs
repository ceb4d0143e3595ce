//! A personal value: as it is captured, as it is stored.
//!
//! ```text
//! captured   {"$personal": value}                                       and "$subject", whose it is, in it or in the event's data
//! stored     {"$encrypted": {"key": id of the key, "value": base64}}
//! base64     of nonce [24] | XChaCha20-Poly1305 of the value's JSON; authenticated with "audit-personal 1\n" | event id [16] | name
//! nonce      the first 24 bytes of SHA-256("audit-nonce 1\n" | key [32] | event id [16] | name | 0x00 | the value's JSON)
//! ```
//!
//! The same value of the same event is the same text each time. So an adopter of a dead process's
//! journal makes the rows that were sealed.

use super::encrypted::ENCRYPTED;
use super::master::{NONCE, SecretBytes};
use crate::capture::json::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::fmt;
use uuid::Uuid;

const AAD: &[u8] = b"audit-personal 1\n";
const NONCE_TAG: &[u8] = b"audit-nonce 1\n";

/// The key of a subject, which is overwritten when it is dropped.
#[derive(Clone)]
pub(crate) struct SubjectKey {
    id: Uuid,
    key: SecretBytes,
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({}, ..)", self.id)
    }
}

impl SubjectKey {
    pub(super) fn new(id: Uuid, key: SecretBytes) -> Self {
        Self { id, key }
    }

    /// A value of this event as it is stored.
    pub(super) fn encrypt(&self, event_id: Uuid, name: &str, value: &str) -> String {
        let cipher = XChaCha20Poly1305::new((&*self.key).into());
        let hash = Sha256::new()
            .chain_update(NONCE_TAG)
            .chain_update(self.key.as_slice())
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
    }

    /// The JSON of a value of this event, or `None` if another key encrypted it.
    pub(super) fn decrypt(&self, event_id: Uuid, name: &str, text: &str) -> Option<Json> {
        let bytes = STANDARD.decode(text).ok()?;
        let (nonce, bytes) = bytes.split_first_chunk::<NONCE>()?;
        let cipher = XChaCha20Poly1305::new((&*self.key).into());
        let payload = Payload { msg: bytes, aad: &aad(event_id, name) };
        String::from_utf8(cipher.decrypt(&XNonce::from(*nonce), payload).ok()?).ok()?.parse().ok()
    }
}

fn aad(event_id: Uuid, name: &str) -> Vec<u8> {
    [AAD, event_id.as_bytes(), name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::encrypted::encrypted;
    use crate::privacy::master::random_key;

    fn key() -> SubjectKey {
        SubjectKey::new(Uuid::now_v7(), random_key())
    }

    #[test]
    fn a_value_is_decrypted_in_its_place_only() {
        let (key, event) = (key(), Uuid::now_v7());
        let stored: Json = key.encrypt(event, "email", r#"{"x":[1.10,{}]}"#).parse().unwrap();
        let (id, text) = encrypted(&stored).unwrap();
        assert_eq!(id, key.id);
        assert_eq!(key.decrypt(event, "email", text).unwrap().to_string(), r#"{"x":[1.10,{}]}"#);
        // A value copied to another event or field cannot be decrypted there.
        assert_eq!(key.decrypt(Uuid::now_v7(), "email", text), None);
        assert_eq!(key.decrypt(event, "other", text), None);
        assert_eq!(SubjectKey::new(key.id, random_key()).decrypt(event, "email", text), None);
    }

    #[test]
    fn the_same_value_of_another_event_or_name_has_another_text() {
        let (key, event) = (key(), Uuid::now_v7());
        let stored = key.encrypt(event, "a", "1");
        assert_eq!(stored, key.encrypt(event, "a", "1"));
        assert_ne!(stored, key.encrypt(event, "b", "1"));
        assert_ne!(stored, key.encrypt(Uuid::now_v7(), "a", "1"));
    }

    #[test]
    fn a_dropped_key_is_overwritten() {
        let mut key = std::mem::ManuallyDrop::new(key());
        let place = std::ptr::from_ref(&*key.key).cast::<[u8; 32]>();
        // SAFETY: it is dropped once, and not used as a key any more.
        unsafe { std::mem::ManuallyDrop::drop(&mut key) };
        // SAFETY: the place is that of the local variable, whose bytes stay where they are. Bytes have no
        // invalid values.
        assert_eq!(unsafe { place.read_volatile() }, [0; 32]);
    }
}
