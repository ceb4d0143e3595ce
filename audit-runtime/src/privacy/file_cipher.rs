//! Encryption of a file, chunk by chunk, by a key of its own that the master key wraps.
//!
//! ```text
//! chunk   XChaCha20-Poly1305 of at most 1 MiB; authenticated with "audit-file 1\n" | id of the file [16]
//! nonce   0 [15] | number of the chunk u64 | 1 if it is the last one, else 0
//! ```
//!
//! Each file has a new key, so a number is no nonce twice. A chunk that is missing, repeated or
//! swapped is not decrypted, and neither is a file without its last chunk.

use super::master::{KEY, MasterKey, NONCE, random_key};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use uuid::Uuid;

const TAG: &[u8] = b"audit-file 1\n";

/// Bytes by which a chunk grows.
pub(crate) const CHUNK_TAG: u64 = 16;
/// Bytes of a wrapped key.
pub(crate) const WRAPPED: usize = NONCE + KEY + 16;

/// The key of a file.
pub(crate) struct FileCipher {
    cipher: XChaCha20Poly1305,
    aad: Vec<u8>,
}

impl FileCipher {
    /// Makes a new key for the file of this id, and returns it with its wrapped form.
    pub(crate) fn new(master: &MasterKey, id: Uuid) -> (Self, Vec<u8>) {
        let key = random_key();
        (Self::of(&key, id), master.wrap(id, &key))
    }

    /// Unwraps the key of a file, or returns `None` if another master key wrapped it.
    pub(crate) fn unwrap(master: &MasterKey, id: Uuid, wrapped: &[u8]) -> Option<Self> {
        let key = master.unwrap(id, wrapped)?;
        Some(Self::of(&key, id))
    }

    fn of(key: &[u8; KEY], id: Uuid) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()), aad: [TAG, id.as_bytes()].concat() }
    }

    /// Encrypts a chunk.
    pub(crate) fn encrypt(&self, number: u64, is_last: bool, chunk: &[u8]) -> Vec<u8> {
        // It fails for what is longer than 256 GiB only.
        self.cipher.encrypt(&nonce(number, is_last), Payload { msg: chunk, aad: &self.aad }).unwrap_or_default()
    }

    /// Decrypts a chunk, or returns `None` if it is not this one.
    pub(crate) fn decrypt(&self, number: u64, is_last: bool, chunk: &[u8]) -> Option<Vec<u8>> {
        self.cipher.decrypt(&nonce(number, is_last), Payload { msg: chunk, aad: &self.aad }).ok()
    }
}

fn nonce(number: u64, is_last: bool) -> XNonce {
    let mut nonce = [0; NONCE];
    nonce[NONCE - 9..NONCE - 1].copy_from_slice(&number.to_le_bytes());
    nonce[NONCE - 1] = u8::from(is_last);
    XNonce::from(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_decrypted_in_its_place_only() {
        let (master, id) = (MasterKey::generate(), Uuid::now_v7());
        let (cipher, wrapped) = FileCipher::new(&master, id);
        assert_eq!(wrapped.len(), WRAPPED);
        let chunk = cipher.encrypt(7, false, b"ann@example.com");
        assert_eq!(chunk.len() as u64, 15 + CHUNK_TAG);
        let again = FileCipher::unwrap(&master, id, &wrapped).unwrap();
        assert_eq!(again.decrypt(7, false, &chunk).unwrap(), b"ann@example.com");
        assert!(again.decrypt(7, true, &chunk).is_none() && again.decrypt(8, false, &chunk).is_none());
        assert!(FileCipher::new(&master, id).0.decrypt(7, false, &chunk).is_none());
        assert!(FileCipher::unwrap(&MasterKey::generate(), id, &wrapped).is_none());
    }
}
