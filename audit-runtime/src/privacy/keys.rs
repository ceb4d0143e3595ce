//! The keys of subjects in the database.

use super::key_keeper::{FURTHER, KeyKeeper, WrappedKey, further_name};
use super::master::{MasterKey, id_of, random_key};
use super::value::SubjectKey;
use crate::sys::RateLimited;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgPool;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use uuid::Uuid;

/// A longer subject is known by its hash.
const LONGEST: usize = 1_000;

/// The keys of some subjects.
#[derive(Debug, Default)]
pub(crate) struct SubjectKeys {
    keys: HashMap<String, SubjectKey>,
    /// The same, as they are stored.
    wrapped: Vec<WrappedKey>,
    /// Subjects whose own key cannot be unwrapped.
    unreadable: BTreeSet<String>,
}

/// Returns the subject of a key, which may be a further one.
pub(super) fn without_further(name: &str) -> &str {
    name.split_once(FURTHER).map_or(name, |(subject, _)| subject)
}

/// A subject as the database knows it.
pub(super) fn stored(subject: &str) -> Cow<'_, str> {
    if subject.len() <= LONGEST && !subject.contains('\0') {
        return Cow::Borrowed(subject);
    }
    Cow::Owned(format!("sha256:{}", hex::encode(Sha256::digest(subject))))
}

/// Returns the name of a subject's further key.
///
/// Only a process with the master key can compute the name. So nobody else can store an
/// unusable key under it first.
fn further(master: &MasterKey, stored: &str) -> String {
    let hash = Sha256::new().chain_update(FURTHER_KEY).chain_update(master.secret()).chain_update(stored).finalize();
    further_name(stored, &hex::encode(&hash[..16]))
}

const FURTHER_KEY: &[u8] = b"audit-further-key 1\n";

impl SubjectKeys {
    /// Takes the subjects' keys from their keeper, and makes those that are not there.
    ///
    /// No key is kept from one time to the next: values encrypted after a key was destroyed use
    /// another one. If a subject's key was not wrapped by this master key, for example a planted
    /// one, the subject gets a further key. So the planted key blocks neither that subject nor
    /// others.
    ///
    /// # Errors
    /// The keeper cannot be reached or does not allow it.
    pub(crate) async fn take(
        keeper: &mut dyn KeyKeeper,
        master: &MasterKey,
        subjects: &BTreeSet<String>,
    ) -> Result<Self, sqlx::Error> {
        static WARNED: RateLimited = RateLimited::every(Duration::from_secs(30));
        let mut taken = Self::default();
        let names: BTreeSet<String> = subjects.iter().map(|subject| stored(subject).into_owned()).collect();
        for WrappedKey { subject, id, wrapped } in keeper.take(&offers(master, names)).await? {
            match master.unwrap(id, &wrapped) {
                Some(key) => {
                    taken.keys.insert(subject.clone(), SubjectKey::new(id, key));
                    taken.wrapped.push(WrappedKey { subject, id, wrapped });
                }
                None => {
                    WARNED.warn(|suppressed| {
                        tracing::error!(
                            key = %id, master_key = id_of(&wrapped), suppressed,
                            "a key in audit_keys was wrapped by another master key than this process has, or somebody planted it: its subject gets a further one. Give every process the same master key; audit-trail forget removes both"
                        );
                    });
                    taken.unreadable.insert(subject);
                }
            }
        }
        if taken.unreadable.is_empty() {
            return Ok(taken);
        }
        let further: HashMap<String, &String> =
            taken.unreadable.iter().map(|subject| (further(master, subject), subject)).collect();
        let names = further.keys().cloned();
        for WrappedKey { subject: name, id, wrapped } in keeper.take(&offers(master, names)).await? {
            // Without a key, values are redacted.
            if let (Some(subject), Some(key)) = (further.get(&name), master.unwrap(id, &wrapped)) {
                taken.keys.insert((*subject).clone(), SubjectKey::new(id, key));
                taken.wrapped.push(WrappedKey { subject: name, id, wrapped });
            }
        }
        Ok(taken)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the keys as they are stored.
    pub(crate) fn wrapped(&self) -> &[WrappedKey] {
        &self.wrapped
    }

    pub(crate) fn of(&self, subject: &str) -> Option<&SubjectKey> {
        self.keys.get(&*stored(subject))
    }

    /// Whether the subject's own key cannot be unwrapped.
    pub(crate) fn is_unreadable(&self, subject: &str) -> bool {
        self.unreadable.contains(&*stored(subject))
    }
}

/// Returns the ids of a subject's keys, its further ones included.
///
/// # Errors
/// The database cannot be reached, or the role may not read whose the keys are.
pub(crate) async fn key_ids(pool: &PgPool, subject: &str) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM audit_keys WHERE subject = $1 OR starts_with(subject, $1 || $2)")
        .bind(&*stored(subject))
        .bind(FURTHER)
        .fetch_all(pool)
        .await
}

/// Makes a new key for each of these subjects, to be used where none is kept.
fn offers(master: &MasterKey, names: impl IntoIterator<Item = String>) -> Vec<WrappedKey> {
    let offer = |subject| {
        let id = Uuid::now_v7();
        WrappedKey { subject, id, wrapped: master.wrap(id, &random_key()) }
    };
    names.into_iter().map(offer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_that_no_index_takes_is_known_by_its_hash() {
        assert_eq!(stored("customer:42"), "customer:42");
        for odd in ["a\0b".to_owned(), "ä".repeat(501)] {
            assert!(stored(&odd).starts_with("sha256:"), "{odd}");
        }
    }
}
