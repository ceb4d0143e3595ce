//! The keys that sign checkpoints: Ed25519, in the text forms of signed notes.

use crate::seal::merkle::Hash;
use rand_core::OsRng;
use signed_note::{Note, NoteError, Signer, StandardSigner, StandardVerifier, Verifier, VerifierList};
use std::fmt;
use std::str::FromStr;
use tlog_tiles::Checkpoint as Head;

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
    signer: StandardSigner,
    secret: String,
    public: PublicKey,
}

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
        let (secret, public) = signed_note::generate_key(&mut OsRng, name);
        Self::new(secret, public)
    }

    fn new(secret: String, public: String) -> Result<Self, KeyError> {
        let signer = StandardSigner::new(&secret).map_err(|_| KeyError::Secret)?;
        Ok(Self { signer, secret, public: public.parse()? })
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

    /// A note that the tree had this size and root, and the lines that follow.
    pub(crate) fn sign(&self, size: u64, root: Hash, lines: &str) -> Result<String, KeyError> {
        let head = Head::new(self.signer.name(), size, root, lines).map_err(|_| KeyError::Malformed)?;
        let mut note = Note::new(&head.to_bytes(), &[]).map_err(|_| KeyError::Malformed)?;
        note.add_sigs(&[&self.signer]).map_err(|_| KeyError::Secret)?;
        String::from_utf8(note.to_bytes()).map_err(|_| KeyError::Malformed)
    }
}

impl FromStr for SigningKey {
    type Err = KeyError;

    fn from_str(secret: &str) -> Result<Self, KeyError> {
        let secret = secret.trim();
        let signer = StandardSigner::new(secret).map_err(|_| KeyError::Secret)?;
        // PRIVATE+KEY+name+id+seed, and the seed's base64 may have further ones.
        let seed = secret.splitn(5, '+').nth(4).unwrap_or_default();
        let public = public_of(signer.name(), seed).ok_or(KeyError::Secret)?;
        Self::new(secret.to_owned(), public)
    }
}

/// The public key's text, from the base64 of the secret one: its kind, then its seed.
fn public_of(name: &str, seed: &str) -> Option<String> {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let bytes = BASE64_STANDARD.decode(seed).ok()?;
    let key = ed25519_dalek::SigningKey::try_from(bytes.get(1..)?).ok()?;
    Some(signed_note::new_ed25519_verifier_key(name, &key.verifying_key()))
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

    /// Verifies that this key signed a checkpoint, and returns the number of batches it covers.
    ///
    /// # Errors
    /// The text is not a checkpoint, or another key signed it, or it was changed.
    pub fn signed(&self, note: &str) -> Result<u64, KeyError> {
        self.open(note).map(|head| head.size)
    }

    /// Reads a checkpoint that this key signed.
    pub(crate) fn open(&self, note: &str) -> Result<SignedHead, KeyError> {
        let note = Note::from_bytes(note.as_bytes()).map_err(|_| KeyError::Malformed)?;
        let head = SignedHead::of(&note)?;
        let known = VerifierList::new(vec![Box::new(self.verifier.clone())]);
        match note.verify(&known) {
            Ok(_) if head.name == self.name() => Ok(head),
            Ok(_) | Err(NoteError::UnverifiedNote) => Err(KeyError::Signer),
            Err(_) => Err(KeyError::Signature),
        }
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

/// The content of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SignedHead {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
    /// When it was made, as its text has it.
    pub(crate) time: Option<String>,
    /// How many were made before it.
    pub(crate) number: Option<u64>,
    /// The last checkpoint under the name before, if this is the first one after a restore.
    pub(crate) restored: Option<Restored>,
}

/// The last checkpoint of a log that went back, as the first one under another name states it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Restored {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

impl Restored {
    /// Reads `name size root`, the root in hexadecimal.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (name, size, root) = (words.next()?, words.next()?, words.next()?);
        let root = Hash(hex::decode(root).ok()?.try_into().ok()?);
        words.next().is_none().then_some(Self { name: name.into(), size: size.parse().ok()?, root })
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.size, hex::encode(self.root.0))
    }
}

/// Begins the line of a checkpoint that contains its time.
pub(crate) const TIME: &str = "time ";
/// Begins the line that contains the number of earlier checkpoints.
pub(crate) const NUMBER: &str = "number ";
/// Begins the line that contains the last checkpoint before a restore.
pub(crate) const RESTORED: &str = "restored ";

impl SignedHead {
    /// Reads a checkpoint, whichever key signed it.
    pub(crate) fn read(note: &str) -> Result<Self, KeyError> {
        Self::of(&Note::from_bytes(note.as_bytes()).map_err(|_| KeyError::Malformed)?)
    }

    fn of(note: &Note) -> Result<Self, KeyError> {
        let head = Head::from_bytes(note.text()).map_err(|_| KeyError::Malformed)?;
        let line = |begin: &str| head.extension().lines().find_map(|line| line.strip_prefix(begin));
        Ok(Self {
            name: head.origin().to_owned(),
            size: head.size(),
            root: *head.hash(),
            time: line(TIME).map(str::to_owned),
            number: line(NUMBER).and_then(|number| number.parse().ok()),
            restored: line(RESTORED).and_then(Restored::read),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_known_by_its_key_and_by_no_other() {
        let key = SigningKey::generate("audit.example.com/desk").unwrap();
        let note = key.sign(7, Hash([3; 32]), "time 2026-11-25T07:00:00Z\n").unwrap();
        let head = key.public().open(&note).unwrap();
        assert_eq!((head.size, head.root, head.name.as_str()), (7, Hash([3; 32]), "audit.example.com/desk"));
        assert_eq!(head.time.as_deref(), Some("2026-11-25T07:00:00Z"));
        let other = SigningKey::generate("audit.example.com/desk").unwrap();
        assert_eq!(other.public().open(&note), Err(KeyError::Signer));
        assert_eq!(key.public().open(&note.replacen("\n7\n", "\n8\n", 1)), Err(KeyError::Signature));
        assert_eq!(key.public().open("nothing"), Err(KeyError::Malformed));
        // Every other one has a `+` in its base64.
        for _ in 0..32 {
            let key = SigningKey::generate("audit.example.com/desk").unwrap();
            assert_eq!(key.secret().parse::<SigningKey>().unwrap().public(), key.public());
            assert_eq!(key.public().to_string().parse::<PublicKey>().unwrap(), *key.public());
        }
        assert_eq!(SigningKey::generate("two words").unwrap_err(), KeyError::Name);
        assert_eq!("PRIVATE+KEY+x".parse::<SigningKey>().unwrap_err(), KeyError::Secret);
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
}
