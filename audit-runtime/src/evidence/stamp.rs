//! Time stamps of checkpoints, as they are stored.

use super::error::{EvidenceError, Failure};
#[cfg(feature = "timestamp")]
use super::tsp::{self, Authorities, Existence, TokenError};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

/// A time stamp of a checkpoint, which has not been verified.
///
/// The authority's token proves that the note existed at an instant, and with it every row that the
/// checkpoint covers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeStamp {
    /// The checkpoint's id in `audit_checkpoints`.
    pub checkpoint: i64,
    /// The signed note that is stamped.
    pub note: String,
    /// The URL that the token came from.
    pub authority: String,
    /// The token of RFC 3161, in DER.
    pub token: Vec<u8>,
}

#[cfg(feature = "timestamp")]
#[cfg_attr(docsrs, doc(cfg(feature = "timestamp")))]
impl TimeStamp {
    /// Verifies the token, without a network.
    ///
    /// Without `authorities`, the token must be signed by the certificate in it, which anybody could
    /// have made.
    ///
    /// # Errors
    /// The token is not one of the note, or its signature or its certificate does not verify.
    pub fn verify(&self, authorities: Option<&Authorities>) -> Result<Existence, TokenError> {
        tsp::verify(&self.token, &self.note, authorities)
    }
}

/// Returns whether the schema has time stamps: from version 10 on.
pub(super) async fn are_known(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('audit_timestamps') IS NOT NULL").fetch_one(connection).await
}

fn read(row: &PgRow) -> Result<TimeStamp, sqlx::Error> {
    Ok(TimeStamp {
        checkpoint: row.try_get(0)?,
        note: row.try_get(1)?,
        authority: row.try_get(2)?,
        token: row.try_get(3)?,
    })
}

/// Reads the time stamp of the first checkpoint that covers a batch and has one.
pub(super) async fn covering(connection: &mut PgConnection, number: i64) -> Result<Option<TimeStamp>, sqlx::Error> {
    if !are_known(connection).await? {
        return Ok(None);
    }
    let sql = "SELECT c.id, c.note, s.authority, s.token FROM audit_timestamps s JOIN audit_checkpoints c ON c.id = s.checkpoint_id \
               WHERE c.tree_size > $1 ORDER BY c.id, s.created_at, s.authority LIMIT 1";
    let row = sqlx::query(sql).bind(number).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Stores a token of a checkpoint.
pub(crate) async fn store(
    connection: &mut PgConnection,
    checkpoint: i64,
    authority: &str,
    token: &[u8],
) -> Result<(), Failure> {
    if !are_known(connection).await? {
        return Err(EvidenceError::NoTimestamps.into());
    }
    let sql = "INSERT INTO audit_timestamps (checkpoint_id, authority, token) VALUES ($1, $2, $3)";
    sqlx::query(sql).bind(checkpoint).bind(authority).bind(token).execute(connection).await?;
    Ok(())
}
