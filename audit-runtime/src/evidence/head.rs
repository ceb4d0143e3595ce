//! The content of a checkpoint: what its signed lines state.

use super::key::{KeyError, PublicKey};
use crate::seal::merkle::Hash;
use signed_note::{Note, NoteError, VerifierList};
use std::fmt;
use tlog_tiles::Checkpoint as Head;

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
    /// The exchange of the log's key, if this is the last checkpoint of the old one.
    pub(crate) rotated: Option<Rotated>,
}

/// The last checkpoint of a log that went back, as the first one under another name states it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Restored {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// The key that signed a log, and the one that signs it from now on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rotated {
    pub(crate) old: PublicKey,
    pub(crate) new: PublicKey,
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

impl Rotated {
    /// Reads both public keys.
    fn read(line: &str) -> Option<Self> {
        let (old, new) = line.split_once(' ')?;
        Some(Self { old: old.parse().ok()?, new: new.parse().ok()? })
    }
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.old, self.new)
    }
}

/// Begins the line of a checkpoint that contains its time.
pub(crate) const TIME: &str = "time ";
/// Begins the line that contains the number of earlier checkpoints.
pub(crate) const NUMBER: &str = "number ";
/// Begins the line that contains the last checkpoint before a restore.
pub(crate) const RESTORED: &str = "restored ";
/// Begins the line that contains the old and the new key.
pub(crate) const ROTATED: &str = "rotated ";

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
            rotated: line(ROTATED).and_then(Rotated::read),
        })
    }
}

impl PublicKey {
    /// Verifies that this key signed a checkpoint, and returns the number of batches it covers.
    ///
    /// It knows nothing of exchanged keys: [`Tree::signed`](super::Tree::signed) does.
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
        let known = VerifierList::new(vec![Box::new(self.verifier().clone())]);
        match note.verify(&known) {
            Ok(_) if head.name == self.name() => Ok(head),
            Ok(_) | Err(NoteError::UnverifiedNote) => Err(KeyError::Signer),
            Err(_) => Err(KeyError::Signature),
        }
    }

    /// Reads a statement that this key signed, and that is no checkpoint.
    pub(crate) fn statement(&self, note: &str) -> Result<String, KeyError> {
        let note = Note::from_bytes(note.as_bytes()).map_err(|_| KeyError::Malformed)?;
        let known = VerifierList::new(vec![Box::new(self.verifier().clone())]);
        match note.verify(&known) {
            Ok(_) => String::from_utf8(note.text().to_vec()).map_err(|_| KeyError::Malformed),
            Err(NoteError::UnverifiedNote) => Err(KeyError::Signer),
            Err(_) => Err(KeyError::Signature),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::SigningKey;

    #[test]
    fn a_checkpoint_is_known_by_its_key_and_by_no_other() {
        let key = SigningKey::generate("audit.example.com/desk").unwrap();
        let note = key.sign(7, Hash([3; 32]), "time 2026-11-25T07:00:00Z\n", None).unwrap();
        let head = key.public().open(&note).unwrap();
        assert_eq!((head.size, head.root, head.name.as_str()), (7, Hash([3; 32]), "audit.example.com/desk"));
        assert_eq!(head.time.as_deref(), Some("2026-11-25T07:00:00Z"));
        let other = SigningKey::generate("audit.example.com/desk").unwrap();
        assert_eq!(other.public().open(&note), Err(KeyError::Signer));
        assert_eq!(key.public().open(&note.replacen("\n7\n", "\n8\n", 1)), Err(KeyError::Signature));
        assert_eq!(key.public().open("nothing"), Err(KeyError::Malformed));
    }

    #[test]
    fn an_exchange_is_stated_in_one_line_and_signed_by_both_keys() {
        let [old, new] = [(); 2].map(|()| SigningKey::generate("trail").unwrap());
        let rotated = Rotated { old: old.public().clone(), new: new.public().clone() };
        let note = old.sign(7, Hash([3; 32]), &format!("{ROTATED}{rotated}\n"), Some(&new)).unwrap();
        for key in [&old, &new] {
            assert_eq!(key.public().open(&note).unwrap().rotated.as_ref(), Some(&rotated));
        }
        assert_eq!(Rotated::read("one"), None);
    }
}
