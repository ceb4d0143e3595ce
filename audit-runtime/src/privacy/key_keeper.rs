//! The keeper of wrapped keys: the database, or a relay that asks it.
//!
//! A keeper never has the master key. So it can hand out, lose or destroy the keys of subjects, and
//! cannot read a value.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, Row};
use std::pin::Pin;
use uuid::Uuid;

/// The key of a subject, wrapped by the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrappedKey {
    /// The subject, as the database knows it.
    pub(crate) subject: String,
    pub(crate) id: Uuid,
    pub(crate) wrapped: Vec<u8>,
}

/// Stands between a subject and what a further key of it is known by. A subject is forgotten with all
/// keys whose names begin so.
pub(super) const FURTHER: &str = "\u{1f}audit-key:";

/// Returns the name of a further key of a subject, as the database knows that.
pub(crate) fn further_name(stored: &str, known_by: &str) -> String {
    format!("{stored}{FURTHER}{known_by}")
}

/// A future of the keys that a keeper hands out.
pub(crate) type TakingKeys<'a> = Pin<Box<dyn Future<Output = Result<Vec<WrappedKey>, sqlx::Error>> + Send + 'a>>;

/// A keeper of wrapped keys.
pub(crate) trait KeyKeeper: Send {
    /// Returns the key of each subject: the one that is kept, or else the one that is offered, which
    /// is kept from now on.
    fn take<'a>(&'a mut self, offers: &'a [WrappedKey]) -> TakingKeys<'a>;
}

impl KeyKeeper for PgConnection {
    fn take<'a>(&'a mut self, offers: &'a [WrappedKey]) -> TakingKeys<'a> {
        Box::pin(async move {
            let (mut subjects, mut ids, mut wrapped) = (Vec::new(), Vec::new(), Vec::new());
            for offer in offers {
                subjects.push(format!("convert_from(decode('{}', 'hex'), 'UTF8')", hex::encode(&offer.subject)));
                ids.push(format!("'{}'", offer.id));
                wrapped.push(format!("decode('{}', 'hex')", hex::encode(&offer.wrapped)));
            }
            // A simple query: a pooler in transaction mode may answer each message from another
            // connection.
            let take = format!(
                "SELECT subject, id, wrapped FROM audit_take_keys(ARRAY[{}], ARRAY[{}]::uuid[], ARRAY[{}])",
                subjects.join(", "),
                ids.join(", "),
                wrapped.join(", ")
            );
            let rows = self.fetch_all(sqlx::raw_sql(AssertSqlSafe(take))).await?;
            if rows.len() < offers.len() {
                let text = "a key was destroyed while it was taken; it is made again";
                return Err(sqlx::Error::Protocol(text.into()));
            }
            let key = |row: &sqlx::postgres::PgRow| {
                Ok(WrappedKey { subject: row.try_get(0)?, id: row.try_get(1)?, wrapped: row.try_get(2)? })
            };
            rows.iter().map(key).collect()
        })
    }
}
