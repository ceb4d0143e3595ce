//! The keys of a log, of which each was exchanged for the next one.
//!
//! A verifier has one of them, or several. A checkpoint that both the old and the new key have
//! signed leads from each to the other, and bounds the checkpoints that each may have signed.

use super::head::{ROTATED, Rotated, SignedHead};
use super::key::{KeyError, PublicKey};
use crate::postgres::copy::decode;
use sqlx::postgres::PgConnection;

/// A checkpoint that exchanges a key.
#[derive(Debug, Clone, PartialEq)]
struct Link {
    head: SignedHead,
    rotated: Rotated,
    note: String,
}

impl Link {
    /// Reads a checkpoint that exchanges a key, and that both keys have signed.
    fn read(note: &str) -> Option<Self> {
        let head = SignedHead::read(note).ok()?;
        let rotated = head.rotated.clone().filter(|rotated| rotated.old != rotated.new)?;
        let is_signed = |key: &PublicKey| key.open(note).is_ok();
        (is_signed(&rotated.old) && is_signed(&rotated.new)).then(|| Self { head, rotated, note: note.to_owned() })
    }

    fn number(&self) -> u64 {
        number(&self.head)
    }
}

/// Older programs wrote no number, and exchanged no key.
fn number(head: &SignedHead) -> u64 {
    head.number.unwrap_or_default()
}

/// The exchanges of keys that checkpoints state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rotations {
    /// By the numbers of the checkpoints.
    links: Vec<Link>,
    /// The last checkpoint in the database that was looked at.
    last: i64,
}

impl Rotations {
    /// Reads those of the database.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it.
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let mut rotations = Self::default();
        rotations.extend(connection).await?;
        Ok(rotations)
    }

    /// Reads those that the database has further.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it.
    pub(crate) async fn extend(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let query = format!(
            "SELECT id, CASE WHEN strpos(note, E'\\n{ROTATED}') > 0 THEN note END FROM audit_checkpoints WHERE id > {} ORDER BY id",
            self.last
        );
        decode::rows(connection, &query, |row| {
            let mut fields = row.fields();
            self.last = fields.i64()?;
            if let Some(note) = fields.next()? {
                self.add(&String::from_utf8_lossy(note));
            }
            Ok::<_, sqlx::Error>(())
        })
        .await
    }

    /// Adds a checkpoint that was kept elsewhere. One that exchanges no key is left out.
    pub(crate) fn add(&mut self, note: &str) {
        if let Some(link) = Link::read(note)
            && self.links.iter().all(|known| known.head != link.head)
        {
            let at = self.links.partition_point(|known| known.number() <= link.number());
            self.links.insert(at, link);
        }
    }

    /// Returns the checkpoints of a log that exchange its key.
    pub(crate) fn notes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.links.iter().filter(move |link| link.head.name == name).map(|link| link.note.as_str())
    }

    /// Returns whether a key was exchanged, for another one or for this one.
    pub(crate) fn mention(&self, key: &PublicKey) -> bool {
        self.links.iter().any(|link| link.rotated.old == *key || link.rotated.new == *key)
    }

    /// Returns the key that took the place of this one, and the number of the checkpoint that states it.
    pub(crate) fn replaced(&self, key: &PublicKey) -> Option<(&PublicKey, u64)> {
        let link = self.links.iter().find(|link| link.rotated.old == *key)?;
        Some((&link.rotated.new, link.number()))
    }

    /// Returns the keys to which these lead.
    pub(crate) fn keyring(&self, given: &[PublicKey]) -> Keyring {
        let mut ring = Keyring::default();
        for key in given {
            if ring.at(key).is_none() {
                ring.keys.push(Known { key: key.clone(), since: None, until: None });
            }
        }
        // First back from the given keys: a verifier trusts the new key on the old one, and not the
        // other way round.
        let mut at = 0;
        while at < ring.keys.len() {
            let known = &ring.keys[at];
            let before = self.links.iter().find(|link| link.rotated.new == known.key);
            if let Some(link) = before.filter(|link| known.since.is_none() && ring.may_follow(link)) {
                ring.join(link);
            }
            at += 1;
        }
        let mut at = 0;
        while at < ring.keys.len() {
            let known = &ring.keys[at];
            let next = self.links.iter().find(|link| link.rotated.old == known.key && known.allows(&link.head).is_ok());
            if let Some(link) = next.filter(|link| known.until.is_none() && ring.may_follow(link)) {
                ring.join(link);
            }
            at += 1;
        }
        let is_known = |link: &&Link| ring.at(&link.rotated.old).is_some() || ring.at(&link.rotated.new).is_some();
        let contradict = |link: &&Link| !ring.keys.iter().any(|known| known.until.as_ref() == Some(*link));
        ring.contradicting = self.links.iter().filter(is_known).filter(contradict).cloned().collect();
        ring
    }
}

/// A key, and the exchanges that bound its checkpoints.
#[derive(Debug, Clone)]
struct Known {
    key: PublicKey,
    since: Option<Link>,
    until: Option<Link>,
}

impl Known {
    /// Returns whether the key may have signed a checkpoint.
    fn allows(&self, head: &SignedHead) -> Result<(), KeyError> {
        if let Some(until) = &self.until {
            let is_before = number(head) < until.number() && head.size <= until.head.size;
            if !is_before && *head != until.head {
                return Err(KeyError::Replaced);
            }
        }
        match &self.since {
            Some(since) if number(head) < since.number() || head.size < since.head.size => Err(KeyError::Early),
            _ => Ok(()),
        }
    }
}

/// The keys that somebody who verifies knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyring {
    keys: Vec<Known>,
    /// Exchanges of these keys that contradict those which were followed.
    contradicting: Vec<Link>,
}

impl Keyring {
    /// Reads a checkpoint that one of these keys signed while it was in force.
    ///
    /// # Errors
    /// None of them did, or the note was changed.
    pub(crate) fn open(&self, note: &str) -> Result<SignedHead, KeyError> {
        let mut refused = KeyError::Signer;
        for known in &self.keys {
            match known.key.open(note).and_then(|head| known.allows(&head).map(|()| head)) {
                Ok(head) => return Ok(head),
                // A key of another name says nothing, if one of its name refuses it.
                Err(error) if refused == KeyError::Signer => refused = error,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    /// Reads a statement that one of these keys signed, which was in force at this checkpoint.
    ///
    /// # Errors
    /// None of them did, or the note was changed.
    pub(crate) fn statement(&self, note: &str, at: &SignedHead) -> Result<String, KeyError> {
        let mut refused = KeyError::Signer;
        for known in &self.keys {
            match known.key.statement(note).and_then(|text| known.allows(at).map(|()| text)) {
                Ok(text) => return Ok(text),
                Err(error) if refused == KeyError::Signer => refused = error,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    /// Returns whether there is no key.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns whether a key has this name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.keys.iter().any(|known| known.key.name() == name)
    }

    /// Returns a sentence for each exchange that was followed, in their order.
    pub(crate) fn exchanges(&self) -> Vec<String> {
        let mut links: Vec<&Link> = self.keys.iter().filter_map(|known| known.until.as_ref()).collect();
        links.sort_by_key(|link| link.number());
        let said = |link: &&Link| {
            format!(
                "checkpoint number {} exchanges the key {} for {}",
                link.number(),
                link.rotated.old,
                link.rotated.new
            )
        };
        links.iter().map(said).collect()
    }

    /// Returns a sentence for each exchange that contradicts another one, and for keys of one name
    /// that no exchange connects.
    pub(crate) fn problems(&self) -> Vec<String> {
        let contradiction = |link: &Link| {
            format!(
                "checkpoint number {} exchanges the key {} for {}, and another one contradicts that: somebody else has the old key",
                link.number(),
                link.rotated.old,
                link.rotated.new
            )
        };
        let mut problems: Vec<String> = self.contradicting.iter().map(contradiction).collect();
        let first: Vec<&PublicKey> =
            self.keys.iter().filter(|known| known.since.is_none()).map(|known| &known.key).collect();
        for (at, key) in first.iter().enumerate() {
            if let Some(other) = first[..at].iter().find(|other| other.name() == key.name()) {
                problems.push(format!(
                    "no checkpoint states that one of the keys {other} and {key} was exchanged for the other: it was removed, or one of \
                     them is not of this log; give the checkpoint of the exchange as well"
                ));
            }
        }
        problems
    }

    fn at(&self, key: &PublicKey) -> Option<usize> {
        self.keys.iter().position(|known| known.key == *key)
    }

    /// Returns whether an exchange contradicts none that was followed.
    fn may_follow(&self, link: &Link) -> bool {
        let (old, new) = (self.at(&link.rotated.old), self.at(&link.rotated.new));
        let is_free =
            old.is_none_or(|at| self.keys[at].until.is_none()) && new.is_none_or(|at| self.keys[at].since.is_none());
        is_free && !self.leads(&link.rotated.new, &link.rotated.old)
    }

    /// Returns whether one key was exchanged for the other, over any number of steps.
    fn leads(&self, from: &PublicKey, to: &PublicKey) -> bool {
        let mut at = self.at(from);
        while let Some(known) = at.map(|at| &self.keys[at]) {
            if known.key == *to {
                return true;
            }
            at = known.until.as_ref().and_then(|link| self.at(&link.rotated.new));
        }
        false
    }

    /// Adds both keys of an exchange, and bounds them.
    fn join(&mut self, link: &Link) {
        let mut known = |key: &PublicKey| {
            self.at(key).unwrap_or_else(|| {
                self.keys.push(Known { key: key.clone(), since: None, until: None });
                self.keys.len() - 1
            })
        };
        let (old, new) = (known(&link.rotated.old), known(&link.rotated.new));
        self.keys[old].until = Some(link.clone());
        self.keys[new].since = Some(link.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::SigningKey;
    use crate::seal::merkle::Hash;

    fn keys<const N: usize>() -> [SigningKey; N] {
        std::array::from_fn(|_| SigningKey::generate("trail").unwrap())
    }

    fn note(key: &SigningKey, number: u64) -> String {
        key.sign(number, Hash([1; 32]), &format!("number {number}\n"), None).unwrap()
    }

    fn rotation(old: &SigningKey, new: &SigningKey, number: u64) -> String {
        stated(old, new, number, old, Some(new))
    }

    /// A statement that these keys sign.
    fn stated(old: &SigningKey, new: &SigningKey, number: u64, by: &SigningKey, and: Option<&SigningKey>) -> String {
        let rotated = Rotated { old: old.public().clone(), new: new.public().clone() };
        by.sign(number, Hash([1; 32]), &format!("number {number}\n{ROTATED}{rotated}\n"), and).unwrap()
    }

    fn ring(notes: &[&str], given: &[&SigningKey]) -> Keyring {
        let mut rotations = Rotations::default();
        notes.iter().for_each(|note| rotations.add(note));
        rotations.keyring(&given.iter().map(|key| key.public().clone()).collect::<Vec<_>>())
    }

    #[test]
    fn each_key_opens_what_every_key_of_the_chain_signed_in_its_time() {
        let [first, second, third] = keys();
        let (one, two) = (rotation(&first, &second, 3), rotation(&second, &third, 6));
        for given in [[&first], [&second], [&third]] {
            let ring = ring(&[&two, &one], &given);
            for (key, number) in [(&first, 0), (&first, 2), (&second, 4), (&second, 5), (&third, 7), (&third, 99)] {
                assert_eq!(ring.open(&note(key, number)).unwrap().number, Some(number));
            }
            assert!(ring.open(&one).is_ok() && ring.open(&two).is_ok());
            for (key, number) in [(&first, 3), (&first, 4), (&second, 6), (&second, 7)] {
                assert_eq!(ring.open(&note(key, number)), Err(KeyError::Replaced), "{number}");
            }
            for (key, number) in [(&second, 2), (&third, 5)] {
                assert_eq!(ring.open(&note(key, number)), Err(KeyError::Early), "{number}");
            }
            assert!(ring.problems().is_empty() && ring.exchanges().len() == 2, "{:?}", ring.problems());
        }
    }

    #[test]
    fn an_exchange_that_one_of_both_keys_has_not_signed_leads_nowhere() {
        let [old, new, unknown] = keys();
        for forged in [
            stated(&old, &new, 3, &new, None),
            stated(&old, &new, 3, &old, None),
            stated(&old, &new, 3, &unknown, Some(&new)),
            stated(&old, &old, 3, &old, None),
        ] {
            assert_eq!(ring(&[&forged], &[&old]).open(&note(&new, 4)), Err(KeyError::Signer));
            assert_eq!(ring(&[&forged], &[&new]).open(&note(&old, 2)), Err(KeyError::Signer));
        }
    }

    #[test]
    fn an_old_key_that_was_stolen_replaces_no_exchange() {
        let [old, new, thief] = keys();
        let honest = rotation(&old, &new, 5);
        for number in [2, 5, 8] {
            let forged = rotation(&old, &thief, number);
            let with_new = ring(&[&forged, &honest], &[&new]);
            assert_eq!(with_new.open(&note(&thief, 9)), Err(KeyError::Signer));
            assert!(with_new.open(&note(&new, 9)).is_ok());
            for given in [&old, &new] {
                assert_eq!(ring(&[&forged, &honest], &[given]).problems().len(), 1);
            }
            // Alone, it is what a stolen key can do, and whoever has the new key sees it.
            assert_eq!(ring(&[&forged], &[&new]).open(&note(&thief, 9)), Err(KeyError::Signer));
            assert_eq!(ring(&[&forged], &[&old, &new]).problems().len(), 1);
        }
    }

    #[test]
    fn a_key_does_not_come_back() {
        let [old, new] = keys();
        let (there, back) = (rotation(&old, &new, 2), rotation(&new, &old, 4));
        for given in [&old, &new] {
            let ring = ring(&[&there, &back], &[given]);
            assert_eq!(ring.problems().len(), 1, "{:?}", ring.problems());
            assert!(ring.open(&note(&old, 5)).is_err() || ring.open(&note(&old, 1)).is_err());
        }
    }
}
