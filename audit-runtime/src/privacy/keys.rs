//! The keys of subjects in the database.

use super::key_keeper::{FURTHER, KeyKeeper, WrappedKey, further_name};
use super::master::{MasterKey, Rewrapped, id_of, random_key};
use super::value::SubjectKey;
use crate::sys::RateLimited;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgPool;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
        for answer in confirmed(keeper, master, &names).await? {
            match answer {
                Ok((wrapped, key)) => {
                    taken.keys.insert(wrapped.subject.clone(), key);
                    taken.wrapped.push(wrapped);
                }
                Err(WrappedKey { subject, id, wrapped }) => {
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
        let names = further.keys().cloned().collect();
        for (wrapped, key) in confirmed(keeper, master, &names).await?.into_iter().flatten() {
            // Without a key, values are redacted.
            if let Some(subject) = further.get(&wrapped.subject) {
                taken.keys.insert((*subject).clone(), key);
                taken.wrapped.push(wrapped);
            }
        }
        Ok(taken)
    }

    /// Unwraps keys that were taken before, as far as this master key does. One that an older master key
    /// wraps is wrapped anew.
    pub(crate) fn unwrapped(master: &MasterKey, keys: Vec<WrappedKey>) -> Self {
        let mut unwrapped = Self::default();
        for mut key in keys {
            let Some(secret) = master.unwrap(key.id, &key.wrapped) else { continue };
            if let Rewrapped::Anew(wrapped) = master.rewrap(key.id, &key.wrapped) {
                key.wrapped = wrapped;
            }
            unwrapped.keys.insert(without_further(&key.subject).to_owned(), SubjectKey::new(key.id, secret));
            unwrapped.wrapped.push(key);
        }
        unwrapped
    }

    /// Adds the keys of other subjects.
    pub(crate) fn extend(&mut self, others: Self) {
        self.keys.extend(others.keys);
        self.wrapped.extend(others.wrapped);
        self.unreadable.extend(others.unreadable);
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

/// A key as its keeper handed it out, and what the master key makes of it. Without that, the master key
/// does not unwrap it.
type Confirmed = Result<(WrappedKey, SubjectKey), WrappedKey>;

/// Takes the keys of these subjects, and asks once more for those that the master key does not unwrap.
///
/// An answer may be damaged on its way. Values that were encrypted by a further key because of that
/// would have other seals than those that an adopter makes of the same records.
async fn confirmed(
    keeper: &mut dyn KeyKeeper,
    master: &MasterKey,
    names: &BTreeSet<String>,
) -> Result<Vec<Confirmed>, sqlx::Error> {
    let (mut confirmed, mut doubtful) = (Vec::new(), BTreeMap::new());
    for key in taken(keeper, master, names).await? {
        match unwrapped(master, key) {
            Err(key) => drop(doubtful.insert(key.subject.clone(), key)),
            known => confirmed.push(known),
        }
    }
    if doubtful.is_empty() {
        return Ok(confirmed);
    }
    let names = doubtful.keys().cloned().collect();
    for key in taken(keeper, master, &names).await? {
        let again = unwrapped(master, key);
        if again.as_ref().is_err_and(|key| doubtful.get(&key.subject) != Some(key)) {
            return Err(sqlx::Error::Protocol(
                "two answers have different keys of a subject; they are taken again".into(),
            ));
        }
        confirmed.push(again);
    }
    Ok(confirmed)
}

fn unwrapped(master: &MasterKey, key: WrappedKey) -> Confirmed {
    match master.unwrap(key.id, &key.wrapped) {
        Some(secret) => Ok((key.clone(), SubjectKey::new(key.id, secret))),
        None => Err(key),
    }
}

/// Takes the key of each of these subjects, and of no other.
async fn taken(
    keeper: &mut dyn KeyKeeper,
    master: &MasterKey,
    names: &BTreeSet<String>,
) -> Result<Vec<WrappedKey>, sqlx::Error> {
    let keys = keeper.take(&offers(master, names)).await?;
    let answered: BTreeSet<&str> = keys.iter().map(|key| key.subject.as_str()).collect();
    if answered.iter().copied().eq(names.iter().map(String::as_str)) {
        return Ok(keys);
    }
    Err(sqlx::Error::Protocol(
        "the keys are not those of the subjects that were asked for; they are taken again".into(),
    ))
}

/// Makes a new key for each of these subjects, to be used where none is kept.
fn offers(master: &MasterKey, names: &BTreeSet<String>) -> Vec<WrappedKey> {
    let offer = |subject: &String| {
        let id = Uuid::now_v7();
        WrappedKey { subject: subject.clone(), id, wrapped: master.wrap(id, &random_key()) }
    };
    names.iter().map(offer).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::privacy::key_keeper::TakingKeys;

    /// Hands out what it is offered first, with a change of each answer.
    struct Keeper<F> {
        kept: HashMap<String, WrappedKey>,
        answers: usize,
        change: F,
    }

    impl<F: FnMut(usize, &mut WrappedKey) + Send> KeyKeeper for Keeper<F> {
        fn take<'a>(&'a mut self, offers: &'a [WrappedKey]) -> TakingKeys<'a> {
            self.answers += 1;
            for offer in offers {
                self.kept.entry(offer.subject.clone()).or_insert_with(|| offer.clone());
            }
            let mut keys: Vec<WrappedKey> = offers.iter().map(|offer| self.kept[&offer.subject].clone()).collect();
            keys.iter_mut().for_each(|key| (self.change)(self.answers, key));
            Box::pin(async move { Ok(keys) })
        }
    }

    fn take(change: impl FnMut(usize, &mut WrappedKey) + Send) -> (Result<SubjectKeys, sqlx::Error>, usize) {
        let mut keeper = Keeper { kept: HashMap::new(), answers: 0, change };
        let subjects = ["customer:1", "customer:2"].map(str::to_owned).into();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        (runtime.block_on(SubjectKeys::take(&mut keeper, &MasterKey::generate(), &subjects)), keeper.answers)
    }

    #[test]
    fn a_key_that_was_damaged_on_its_way_is_taken_again() {
        let (keys, answers) = take(|_, _| {});
        assert_eq!((keys.unwrap().len(), answers), (2, 1));
        for damage in [|key: &mut WrappedKey| key.wrapped[20] ^= 1, |key: &mut WrappedKey| key.id = Uuid::nil()] {
            let damaged = |answer, key: &mut WrappedKey| {
                if answer == 1 && key.subject == "customer:1" {
                    damage(key);
                }
            };
            let (keys, answers) = take(damaged);
            let keys = keys.unwrap();
            assert_eq!((keys.len(), keys.unreadable.len(), answers), (2, 0, 2));
            assert!(keys.wrapped.iter().all(|key| !key.subject.contains(FURTHER)));
        }
    }

    #[test]
    fn a_key_that_stays_what_it_is_gets_a_further_one() {
        let planted = |_, key: &mut WrappedKey| {
            if key.subject == "customer:1" {
                key.wrapped[20] ^= 1;
            }
        };
        let (keys, answers) = take(planted);
        let keys = keys.unwrap();
        assert_eq!((keys.len(), keys.is_unreadable("customer:1"), answers), (2, true, 3));
    }

    #[test]
    fn keys_of_others_and_keys_that_never_stay_the_same_are_refused() {
        let (keys, _) = take(|_, key| key.subject = key.subject.replace('1', "3"));
        assert!(keys.unwrap_err().to_string().contains("not those of the subjects"));
        let (keys, _) = take(|answer, key| key.wrapped[20] ^= answer as u8);
        assert!(keys.unwrap_err().to_string().contains("two answers"));
    }

    #[test]
    fn a_subject_that_no_index_takes_is_known_by_its_hash() {
        assert_eq!(stored("customer:42"), "customer:42");
        for odd in ["a\0b".to_owned(), "ä".repeat(501)] {
            assert!(stored(&odd).starts_with("sha256:"), "{odd}");
        }
    }
}
