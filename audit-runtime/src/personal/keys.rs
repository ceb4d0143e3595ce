//! The keys of subjects in the database.

use super::master::{MasterKey, random};
use super::value::SubjectKey;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, Row};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// A longer subject is known by its hash.
const LONGEST: usize = 1_000;

/// The keys of some subjects.
#[derive(Debug, Default)]
pub(crate) struct SubjectKeys(HashMap<String, SubjectKey>);

/// A subject as the database knows it.
pub(super) fn stored(subject: &str) -> Cow<'_, str> {
    if subject.len() <= LONGEST && !subject.contains('\0') {
        return Cow::Borrowed(subject);
    }
    Cow::Owned(format!("sha256:{}", hex::encode(Sha256::digest(subject))))
}

impl SubjectKeys {
    /// Takes the subjects' keys from the database, and makes those that are not there.
    ///
    /// Nothing is kept from one time to the next: what is encrypted after a key was destroyed has another one.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it, or a key was wrapped by another master key.
    pub(crate) async fn take(
        connection: &mut PgConnection,
        master: &MasterKey,
        subjects: &BTreeSet<&str>,
    ) -> Result<Self, sqlx::Error> {
        let (mut texts, mut ids, mut wrapped) = (Vec::new(), Vec::new(), Vec::new());
        for subject in subjects {
            let id = Uuid::now_v7();
            texts.push(format!("convert_from(decode('{}', 'hex'), 'UTF8')", hex::encode(&*stored(subject))));
            ids.push(format!("'{id}'"));
            wrapped.push(format!("decode('{}', 'hex')", hex::encode(master.wrap(id, &random()))));
        }
        // A simple query: a pooler in transaction mode may answer each message from another connection.
        let take = format!(
            "SELECT subject, id, wrapped FROM audit_take_keys(ARRAY[{}], ARRAY[{}]::uuid[], ARRAY[{}])",
            texts.join(", "),
            ids.join(", "),
            wrapped.join(", ")
        );
        let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(take))).await?;
        let mut keys = HashMap::new();
        for row in rows {
            let (subject, id, wrapped): (String, Uuid, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let key = master.unwrap(id, &wrapped).ok_or_else(|| {
                let text = format!(
                    "key {id} in audit_keys was wrapped by another master key than this process has: give it the one that others have"
                );
                sqlx::Error::Configuration(text.into())
            })?;
            keys.insert(subject, SubjectKey::new(id, key));
        }
        if keys.len() < subjects.len() {
            return Err(sqlx::Error::Protocol("a key was destroyed while it was taken; it is made again".into()));
        }
        Ok(Self(keys))
    }

    pub(crate) fn of(&self, subject: &str) -> Option<&SubjectKey> {
        self.0.get(&*stored(subject))
    }
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
