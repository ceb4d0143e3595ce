//! The key that wraps the keys of subjects.

use crate::sys::secret::{self, KeySourceError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use uuid::Uuid;
use zeroize::Zeroizing;

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
///
/// While a master key is exchanged, it has the older one beside it:
///
/// ```
/// use audit_runtime::MasterKey;
/// # let (old, new) = (MasterKey::generate(), MasterKey::generate());
/// let both = new.with_older(old);
/// ```
///
/// The text of a key, in a file, a variable or the output of a command, may contain both: the first
/// is in force, and the others, after spaces or on lines of their own, are older ones.
#[derive(Clone)]
pub struct MasterKey {
    current: Key,
    older: Vec<Key>,
}

/// The reason a master key could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// The text does not contain a key.
    #[error("invalid master key: expected 32 bytes in base64, as `audit-trail master-key` prints them")]
    Malformed,
    /// The text cannot be had.
    #[error(transparent)]
    Source(#[from] KeySourceError),
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl FromStr for MasterKey {
    type Err = MasterKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut keys = text.split_whitespace().map(Key::read);
        let current = keys.next().ok_or(MasterKeyError::Malformed)??;
        Ok(Self { current, older: keys.collect::<Result<_, _>>()? })
    }
}

impl MasterKey {
    /// Generates a new key.
    #[must_use]
    pub fn generate() -> Self {
        Self { current: Key::new(&random_key()), older: Vec::new() }
    }

    /// Puts an older key beside this one, by which keys of subjects are unwrapped, too.
    ///
    /// New keys are wrapped by this one.
    /// [`Admin::rotate_master_key`](crate::admin::Admin::rotate_master_key) wraps the others by it.
    #[must_use]
    pub fn with_older(mut self, older: Self) -> Self {
        self.older.push(older.current);
        self.older.extend(older.older);
        self
    }

    /// Returns the text of the key in force, to be kept secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.current.secret
    }

    /// Returns the key's id, by which a wrapped key names the master key that wraps it.
    ///
    /// It is 16 hexadecimal digits, and does not help to find the key.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(self.current.id)
    }

    /// Reads the key from a file that its owner alone may read.
    ///
    /// A file of root may be readable by its group.
    ///
    /// # Errors
    /// The file cannot be read, other users may read or change it, or it does not contain a key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, MasterKeyError> {
        secret::from_file(path.as_ref())?.parse()
    }

    /// Reads the key from an environment variable.
    ///
    /// # Errors
    /// The variable is not set, or does not contain a key.
    pub fn from_env(name: &str) -> Result<Self, MasterKeyError> {
        secret::from_env(name)?.parse()
    }

    /// Reads the key that a shell command prints, such as one of a key management service.
    ///
    /// It blocks until the command has ended, for 30 seconds at most.
    ///
    /// # Errors
    /// The command fails, takes too long, or prints something else.
    pub fn from_command(command: &str) -> Result<Self, MasterKeyError> {
        secret::from_command(command)?.parse()
    }

    /// A key as it is stored.
    pub(super) fn wrap(&self, id: Uuid, key: &[u8; KEY]) -> Vec<u8> {
        self.current.wrap(id, key)
    }

    /// The key that was stored so, or `None` if none of these is the master key that wrapped it.
    pub(super) fn unwrap(&self, id: Uuid, wrapped: &[u8]) -> Option<SecretBytes> {
        std::iter::once(&self.current).chain(&self.older).find_map(|key| key.unwrap(id, wrapped))
    }

    /// Wraps a key by the master key in force, if an older one wraps it.
    pub(super) fn rewrap(&self, id: Uuid, wrapped: &[u8]) -> Rewrapped {
        if self.current.unwrap(id, wrapped).is_some() {
            return Rewrapped::Current;
        }
        match self.unwrap(id, wrapped) {
            Some(key) => Rewrapped::Anew(self.wrap(id, &key)),
            None => Rewrapped::Unreadable,
        }
    }
}

/// A wrapped key, as far as it can be wrapped anew.
#[derive(Debug, PartialEq)]
pub(super) enum Rewrapped {
    /// The master key in force wraps it already.
    Current,
    /// The same key, wrapped by the master key in force.
    Anew(Vec<u8>),
    /// None of the master keys unwraps it.
    Unreadable,
}

/// Returns the id of the master key that has wrapped a key. A key of an older version, or one that
/// somebody planted, has other bytes there.
pub(super) fn id_of(wrapped: &[u8]) -> String {
    hex::encode(&wrapped[..wrapped.len().min(ID)])
}

/// A key's bytes, which are overwritten when they are dropped.
pub(super) type SecretBytes = Zeroizing<[u8; KEY]>;

/// One master key. The cipher overwrites its copy when it is dropped.
#[derive(Clone)]
struct Key {
    cipher: XChaCha20Poly1305,
    id: [u8; ID],
    /// Base64.
    secret: Zeroizing<String>,
}

impl Key {
    fn new(key: &[u8; KEY]) -> Self {
        let secret = Zeroizing::new(STANDARD.encode(key));
        let hash = Sha256::new().chain_update(ID_TAG).chain_update(secret.as_bytes()).finalize();
        Self { cipher: XChaCha20Poly1305::new(key.into()), id: std::array::from_fn(|at| hash[at]), secret }
    }

    fn read(text: &str) -> Result<Self, MasterKeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| MasterKeyError::Malformed)?);
        let key: &[u8; KEY] = bytes.as_slice().try_into().map_err(|_| MasterKeyError::Malformed)?;
        Ok(Self::new(key))
    }

    fn wrap(&self, id: Uuid, key: &[u8; KEY]) -> Vec<u8> {
        // XChaCha20 takes nonces at random. The sixteen bytes behind the id are enough of it: of 2^48
        // keys, two have the same nonce with a probability of 2^-33.
        let mut nonce = [0; NONCE];
        nonce[..ID].copy_from_slice(&self.id);
        OsRng.fill_bytes(&mut nonce[ID..]);
        // It fails for what is longer than 256 GiB only.
        let wrapped =
            self.cipher.encrypt(&XNonce::from(nonce), Payload { msg: key, aad: &aad(id) }).unwrap_or_default();
        [&nonce[..], &wrapped].concat()
    }

    fn unwrap(&self, id: Uuid, wrapped: &[u8]) -> Option<SecretBytes> {
        let (nonce, wrapped) = wrapped.split_first_chunk::<NONCE>()?;
        let key = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: wrapped, aad: &aad(id) }).ok()?;
        let key = Zeroizing::new(key);
        let mut bytes = Zeroizing::new([0; KEY]);
        bytes.copy_from_slice(<&[u8; KEY]>::try_from(key.as_slice()).ok()?);
        Some(bytes)
    }
}

fn aad(id: Uuid) -> Vec<u8> {
    [TAG, id.as_bytes()].concat()
}

pub(super) fn random_key() -> SecretBytes {
    let mut bytes = Zeroizing::new([0; KEY]);
    OsRng.fill_bytes(&mut *bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_key_comes_from_a_file_the_environment_or_a_command() {
        use std::os::unix::fs::PermissionsExt;
        let key = MasterKey::generate();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, format!("{}\n", key.secret())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
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
        let (master, id, key) = (MasterKey::generate(), Uuid::now_v7(), random_key());
        let wrapped = master.wrap(id, &key);
        assert_eq!(wrapped.len(), NONCE + KEY + 16);
        assert_eq!(master.unwrap(id, &wrapped), Some(key));
        assert_eq!(id_of(&wrapped), master.id());
        assert_eq!(MasterKey::generate().unwrap(id, &wrapped), None);
        assert_eq!(master.unwrap(Uuid::now_v7(), &wrapped), None);
        assert_eq!(master.unwrap(id, &wrapped[..40]), None);
    }

    #[test]
    fn a_text_of_several_keys_has_the_key_in_force_first() {
        let [new, old, oldest] = std::array::from_fn(|_| MasterKey::generate());
        let text = format!("{}\n{} {}\n", new.secret(), old.secret(), oldest.secret());
        let read: MasterKey = text.parse().unwrap();
        let made = new.clone().with_older(old.clone().with_older(oldest.clone()));
        for keys in [read, made] {
            assert_eq!((keys.secret(), keys.id()), (new.secret(), new.id()));
            for key in [&new, &old, &oldest] {
                let (id, secret) = (Uuid::now_v7(), random_key());
                assert_eq!(keys.unwrap(id, &key.wrap(id, &secret)), Some(secret));
            }
            assert_eq!(id_of(&keys.wrap(Uuid::nil(), &random_key())), new.id());
        }
        for wrong in ["", " \n", "AAAA", &format!("{} AAAA", new.secret())] {
            assert!(wrong.parse::<MasterKey>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_is_wrapped_anew_once_and_garbage_never() {
        let (old, new) = (MasterKey::generate(), MasterKey::generate());
        let both = new.clone().with_older(old.clone());
        let (id, key) = (Uuid::now_v7(), random_key());
        let Rewrapped::Anew(wrapped) = both.rewrap(id, &old.wrap(id, &key)) else { panic!("the older key unwraps it") };
        assert_eq!((new.unwrap(id, &wrapped), old.unwrap(id, &wrapped)), (Some(key), None));
        assert_eq!(both.rewrap(id, &wrapped), Rewrapped::Current);
        for garbage in [&[0_u8; 72][..], &[], &[1; 7], &[2; 4096]] {
            assert_eq!(both.rewrap(id, garbage), Rewrapped::Unreadable);
        }
    }

    #[test]
    fn what_holds_a_master_key_overwrites_it() {
        fn overwrites<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let key = MasterKey::generate();
        overwrites(&key.current.cipher);
        overwrites(&key.current.secret);
        overwrites(&key.unwrap(Uuid::nil(), &key.wrap(Uuid::nil(), &random_key())).unwrap());
    }
}
