//! The keys that sign checkpoints: Ed25519, in the text forms of signed notes.

use crate::seal::merkle::Hash;
use crate::sys::secret::{self, KeySourceError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::{OsRng, RngCore};
use signed_note::{Note, Signer, StandardVerifier, Verifier};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use tlog_tiles::Checkpoint as Head;
use zeroize::Zeroizing;

/// The reason a text is not a key, or a note not a checkpoint of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, or contains spaces or `+`.
    #[error("a key's name may not be empty nor hold spaces or `+`; name the trail like a URL: audit.example.com/desk")]
    Name,
    /// The text is not a valid secret key.
    #[error(
        "invalid secret key for checkpoints: expected a text that begins with PRIVATE+KEY+, as `audit-trail checkpoint --new-key` writes it"
    )]
    Secret,
    /// The text is not a valid public key.
    #[error(
        "invalid public key for checkpoints: expected <name>+<8 digits>+<base64>, as `audit-trail checkpoint --new-key` writes it"
    )]
    Public,
    /// The text is not a signed note that contains a checkpoint.
    #[error(
        "invalid checkpoint: expected a signed note whose first lines are the trail's name, the size of the tree and its root"
    )]
    Malformed,
    /// The note is signed by none of the keys.
    #[error("the checkpoint is not signed by this key")]
    Signer,
    /// The signature is wrong.
    #[error("the signature of the checkpoint is wrong: its text was changed, or it was not this key that signed it")]
    Signature,
    /// The key signed it, although another one had replaced that key.
    #[error(
        "the checkpoint is signed by a key that another one had replaced before: somebody who has the old key made it"
    )]
    Replaced,
    /// The key signed it, although that key replaces another one only later.
    #[error("the checkpoint is signed by a key that replaces another one only later")]
    Early,
}

/// A secret key, with which checkpoints are signed.
///
/// Its holder can sign anything: keep it away from the database's machine.
///
/// ```
/// use audit_runtime::evidence::SigningKey;
///
/// let key = SigningKey::generate("audit.example.com/desk").unwrap();
/// let again: SigningKey = key.secret().parse().unwrap();
/// assert_eq!(again.public(), key.public());
/// ```
#[derive(Clone)]
pub struct SigningKey {
    signer: Ed25519,
    /// Overwritten when it is dropped, as the signer's own key is.
    secret: Zeroizing<String>,
    public: PublicKey,
}

/// The reason a secret key could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The text is not a valid secret key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The text cannot be had.
    #[error(transparent)]
    Source(#[from] KeySourceError),
}

/// Begins the text of a secret key.
const PRIVATE: &str = "PRIVATE+KEY+";
/// Begins the bytes of a key of Ed25519.
const ED25519: u8 = 1;
const SEED: usize = ed25519_dalek::SECRET_KEY_LENGTH;

impl SigningKey {
    /// Generates a new key.
    ///
    /// The name identifies whose checkpoints these are, like a URL without its scheme:
    /// `audit.example.com/desk`.
    ///
    /// # Errors
    /// The name is empty, or contains spaces or `+`.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        if !signed_note::is_key_name_valid(name) {
            return Err(KeyError::Name);
        }
        let mut seed = Zeroizing::new([0; SEED]);
        OsRng.fill_bytes(&mut *seed);
        Self::new(name, &seed)
    }

    fn new(name: &str, seed: &[u8; SEED]) -> Result<Self, KeyError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = signed_note::new_ed25519_verifier_key(name, &key.verifying_key()).parse::<PublicKey>()?;
        let id = public.verifier.key_id();
        let mut bytes = Zeroizing::new([ED25519; SEED + 1]);
        bytes[1..].copy_from_slice(seed);
        // A text that grew would leave its former memory as it was.
        let mut secret = Zeroizing::new(String::with_capacity(PRIVATE.len() + name.len() + 2 * SEED));
        secret.push_str(PRIVATE);
        secret.push_str(name);
        secret.push_str(&format!("+{id:08x}+"));
        STANDARD.encode_string(bytes.as_slice(), &mut secret);
        Ok(Self { signer: Ed25519 { name: name.to_owned(), id, key }, secret, public })
    }

    /// Reads the key from a file that its owner alone may read.
    ///
    /// # Errors
    /// The file cannot be read, other users may read or change it, or it does not contain a key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SigningKeyError> {
        Ok(secret::from_file(path.as_ref())?.parse()?)
    }

    /// Reads the key from an environment variable.
    ///
    /// # Errors
    /// The variable is not set, or does not contain a key.
    pub fn from_env(name: &str) -> Result<Self, SigningKeyError> {
        Ok(secret::from_env(name)?.parse()?)
    }

    /// Reads the key that a shell command prints, such as one of a key management service.
    ///
    /// It blocks until the command has ended, for 30 seconds at most.
    ///
    /// # Errors
    /// The command fails, takes too long, or prints something else.
    pub fn from_command(command: &str) -> Result<Self, SigningKeyError> {
        Ok(secret::from_command(command)?.parse()?)
    }

    /// Returns its text, to be kept secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns the public key that verifies its signatures.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A note that the tree had this size and root, and the lines that follow. `next` signs it, too.
    pub(crate) fn sign(&self, size: u64, root: Hash, lines: &str, next: Option<&Self>) -> Result<String, KeyError> {
        let head = Head::new(self.signer.name(), size, root, lines).map_err(|_| KeyError::Malformed)?;
        let mut note = Note::new(&head.to_bytes(), &[]).map_err(|_| KeyError::Malformed)?;
        let signers: Vec<&dyn Signer> =
            std::iter::once(self).chain(next).map(|key| &key.signer as &dyn Signer).collect();
        note.add_sigs(&signers).map_err(|_| KeyError::Secret)?;
        String::from_utf8(note.to_bytes()).map_err(|_| KeyError::Malformed)
    }

    /// Signs a statement that cannot be taken for a checkpoint, because its second line is no number.
    ///
    /// # Errors
    /// The text is not one of a signed note, or could be taken for a checkpoint.
    #[doc(hidden)]
    pub fn sign_statement(&self, text: &str) -> Result<String, KeyError> {
        if Head::from_bytes(text.as_bytes()).is_ok() {
            return Err(KeyError::Malformed);
        }
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| KeyError::Malformed)?;
        note.add_sigs(&[&self.signer as &dyn Signer]).map_err(|_| KeyError::Secret)?;
        String::from_utf8(note.to_bytes()).map_err(|_| KeyError::Malformed)
    }
}

/// Signs notes. `ed25519_dalek` overwrites the key when it is dropped.
#[derive(Clone)]
struct Ed25519 {
    name: String,
    id: u32,
    key: ed25519_dalek::SigningKey,
}

impl Signer for Ed25519 {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        use ed25519_dalek::Signer as _;
        Ok(self.key.try_sign(message)?.to_vec())
    }
}

impl FromStr for SigningKey {
    type Err = KeyError;

    fn from_str(secret: &str) -> Result<Self, KeyError> {
        // The name, the id of the public key and the seed, whose base64 may have further `+`.
        let mut parts = secret.trim().strip_prefix(PRIVATE).ok_or(KeyError::Secret)?.splitn(3, '+');
        let (Some(name), Some(id), Some(seed)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Secret);
        };
        let bytes = Zeroizing::new(STANDARD.decode(seed).map_err(|_| KeyError::Secret)?);
        let Some((&ED25519, seed)) = bytes.split_first() else {
            return Err(KeyError::Secret);
        };
        let seed = <&[u8; SEED]>::try_from(seed).map_err(|_| KeyError::Secret)?;
        if !signed_note::is_key_name_valid(name) {
            return Err(KeyError::Secret);
        }
        let key = Self::new(name, seed)?;
        if id.len() == 8 && u32::from_str_radix(id, 16) == Ok(key.signer.id) { Ok(key) } else { Err(KeyError::Secret) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public.text).finish()
    }
}

/// A public key, which verifies that checkpoints are one's own.
///
/// A verifier must receive it by another way than the database.
#[derive(Clone)]
pub struct PublicKey {
    verifier: StandardVerifier,
    text: String,
}

impl PublicKey {
    /// Returns the name of the trail whose checkpoints these are.
    #[must_use]
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// Returns what verifies its signatures.
    pub(super) fn verifier(&self) -> &StandardVerifier {
        &self.verifier
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let verifier = StandardVerifier::new(text).map_err(|_| KeyError::Public)?;
        Ok(Self { verifier, text: text.to_owned() })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.text).finish()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PublicKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_is_read_as_it_was_written() {
        // Every other one has a `+` in its base64.
        for _ in 0..32 {
            let key = SigningKey::generate("audit.example.com/desk").unwrap();
            assert_eq!(key.secret().parse::<SigningKey>().unwrap().public(), key.public());
            assert_eq!(key.public().to_string().parse::<PublicKey>().unwrap(), *key.public());
            // The house of the format reads it, too.
            assert_eq!(signed_note::StandardSigner::new(key.secret()).unwrap().key_id(), key.signer.id);
        }
        let (secret, public) = signed_note::generate_key(&mut OsRng, "trail");
        let key: SigningKey = secret.parse().unwrap();
        assert_eq!((key.secret(), key.public().to_string()), (secret.as_str(), public));
        assert_eq!(SigningKey::generate("two words").unwrap_err(), KeyError::Name);
        for wrong in
            ["PRIVATE+KEY+x", "PRIVATE+KEY+trail+00000000+", &secret.replace("PRIVATE+KEY+trail", "PRIVATE+KEY+desk")]
        {
            assert_eq!(wrong.parse::<SigningKey>().unwrap_err(), KeyError::Secret);
        }
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_holds_a_secret_key_overwrites_it() {
        fn overwrites<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let key = SigningKey::generate("trail").unwrap();
        overwrites(&key.secret);
        overwrites(&key.signer.key);
        // The text was never moved to a larger place, which would have left it in the smaller one.
        assert!(key.secret.len() <= PRIVATE.len() + "trail".len() + 2 * SEED);
    }
}
