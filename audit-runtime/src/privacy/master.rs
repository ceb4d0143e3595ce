//! The key that wraps the keys of subjects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use uuid::Uuid;

/// Bytes of a key, of a nonce and of a wrapped key.
pub(super) const KEY: usize = 32;
pub(super) const NONCE: usize = 24;

/// A wrapped key begins with the id of its master key, which is the first part of the nonce. Versions
/// that know nothing of ids read it as they read others.
const ID: usize = 8;
/// The id of a master key is the beginning of the hash of this and its text.
const ID_TAG: &[u8] = b"audit-master-key-id 1\n";

/// The associated data of a wrapped key, beside its id.
const TAG: &[u8] = b"audit-key 1\n";

/// The key that wraps the keys of all subjects.
///
/// Keep it out of the database's reach: without it, nobody reads personal data.
///
/// ```
/// use audit_runtime::MasterKey;
/// let key = MasterKey::generate();
/// let same: MasterKey = key.secret().parse()?;
/// # Ok::<(), audit_runtime::MasterKeyError>(())
/// ```
#[derive(Clone)]
pub struct MasterKey {
    cipher: XChaCha20Poly1305,
    /// Base64.
    secret: String,
}

/// The reason a master key could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// The text does not contain a key.
    #[error("invalid master key: expected 32 bytes in base64, as `audit-trail master-key` prints them")]
    Malformed,
    /// The file cannot be read.
    #[error("the master key cannot be read from {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The variable is not set.
    #[error("the master key is not in the environment: {0} is not set")]
    Variable(String),
    /// The command failed.
    #[error("the command that gives the master key failed: {0}")]
    Command(String),
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl FromStr for MasterKey {
    type Err = MasterKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = STANDARD.decode(text.trim()).map_err(|_| MasterKeyError::Malformed)?;
        let key: [u8; KEY] = key.try_into().map_err(|_| MasterKeyError::Malformed)?;
        Ok(Self::new(key))
    }
}

impl MasterKey {
    /// Generates a new key.
    #[must_use]
    pub fn generate() -> Self {
        Self::new(random())
    }

    fn new(key: [u8; KEY]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&key.into()), secret: STANDARD.encode(key) }
    }

    /// Returns its text, to be kept secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns the key's id, by which a wrapped key names the master key that wraps it.
    ///
    /// It is 16 hexadecimal digits, and does not help to find the key.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(self.id_bytes())
    }

    fn id_bytes(&self) -> [u8; ID] {
        let hash = Sha256::new().chain_update(ID_TAG).chain_update(&self.secret).finalize();
        std::array::from_fn(|at| hash[at])
    }

    /// Reads the key from a file.
    ///
    /// # Errors
    /// The file cannot be read, or does not contain a key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, MasterKeyError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|error| MasterKeyError::File { path: path.display().to_string(), error })?;
        text.parse()
    }

    /// Reads the key from an environment variable.
    ///
    /// # Errors
    /// The variable is not set, or does not contain a key.
    pub fn from_env(name: &str) -> Result<Self, MasterKeyError> {
        std::env::var(name).map_err(|_| MasterKeyError::Variable(name.into()))?.parse()
    }

    /// Reads the key that a shell command prints, such as one of a key management service.
    ///
    /// It blocks until the command has ended.
    ///
    /// # Errors
    /// The command fails, or prints something else.
    pub fn from_command(command: &str) -> Result<Self, MasterKeyError> {
        let failed = |why: &dyn fmt::Display| MasterKeyError::Command(format!("{command}: {why}"));
        let output = Command::new("sh").arg("-c").arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| failed(&error))?;
        if !output.status.success() {
            return Err(failed(&output.status));
        }
        String::from_utf8(output.stdout).map_err(|_| MasterKeyError::Malformed)?.parse()
    }

    /// A key as it is stored.
    pub(super) fn wrap(&self, id: Uuid, key: &[u8; KEY]) -> Vec<u8> {
        // XChaCha20 takes nonces at random. The sixteen bytes behind the id are enough of it: of 2^48
        // keys, two have the same nonce with a probability of 2^-33.
        let mut nonce: [u8; NONCE] = random();
        nonce[..ID].copy_from_slice(&self.id_bytes());
        // It fails for what is longer than 256 GiB only.
        let wrapped =
            self.cipher.encrypt(&XNonce::from(nonce), Payload { msg: key, aad: &aad(id) }).unwrap_or_default();
        [&nonce[..], &wrapped].concat()
    }

    /// Returns whether a wrapped key names this master key. One of an older version names none.
    pub(super) fn names(&self, wrapped: &[u8]) -> bool {
        wrapped.starts_with(&self.id_bytes())
    }

    /// The key that was stored so, or `None` if this is not the master key that wrapped it.
    pub(super) fn unwrap(&self, id: Uuid, wrapped: &[u8]) -> Option<[u8; KEY]> {
        let (nonce, wrapped) = wrapped.split_first_chunk::<NONCE>()?;
        let key = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: wrapped, aad: &aad(id) }).ok()?;
        key.try_into().ok()
    }
}

fn aad(id: Uuid) -> Vec<u8> {
    [TAG, id.as_bytes()].concat()
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_from_a_file_the_environment_or_a_command() {
        let key = MasterKey::generate();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, format!("{}\n", key.secret())).unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(MasterKey::from_file(path).unwrap().secret(), key.secret());
        assert_eq!(MasterKey::from_command(&format!("cat {path}")).unwrap().secret(), key.secret());
        for (error, part) in [
            (MasterKey::from_file("/nowhere").unwrap_err(), "/nowhere"),
            (MasterKey::from_env("AUDIT_NO_SUCH_KEY").unwrap_err(), "AUDIT_NO_SUCH_KEY is not set"),
            (MasterKey::from_command("exit 3").unwrap_err(), "exit 3: exit status: 3"),
            (MasterKey::from_command("echo something").unwrap_err(), "32 bytes in base64"),
        ] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
    }

    #[test]
    fn a_key_wrapped_by_another_key_or_for_another_id_is_not_unwrapped() {
        let (master, id, key) = (MasterKey::generate(), Uuid::now_v7(), random());
        let wrapped = master.wrap(id, &key);
        assert_eq!(wrapped.len(), NONCE + KEY + 16);
        assert_eq!(master.unwrap(id, &wrapped), Some(key));
        assert!(master.names(&wrapped) && !MasterKey::generate().names(&wrapped));
        assert_eq!(MasterKey::generate().unwrap(id, &wrapped), None);
        assert_eq!(master.unwrap(Uuid::now_v7(), &wrapped), None);
        assert_eq!(master.unwrap(id, &wrapped[..40]), None);
    }
}
