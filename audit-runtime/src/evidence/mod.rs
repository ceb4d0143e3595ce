//! Proof that a trail is what was recorded: seals, checkpoints, verification.
//!
//! ```text
//! writer       row -> digest of its canonical form -> leaf      a batch's root covers its rows and the root of the batch before
//! checkpoint   batch -> leaf of one tree of all batches         its root is signed, and leaves the database
//! verify       all of that again, from the rows
//! ```
//!
//! `docs/evidence.md` has the formats to the byte, and what is proven and what is not.

pub(crate) mod canonical;
mod checkpoint;
pub(crate) mod copy_out;
mod key;
pub(crate) mod late;
pub(crate) mod merkle;
mod proof;
pub(crate) mod row;
pub(crate) mod seal;
mod verify;

pub(crate) use checkpoint::make;
pub use checkpoint::{Checkpoint, checkpoint};
pub use key::{KeyError, PublicKey, SigningKey};
pub use proof::{Proof, ProofError, Proven, prove, prove_archived};
pub use verify::{Finding, FindingKind, Report, Verification, VerificationStep};

use crate::writer::copy;
use sqlx::postgres::PgConnection;

/// Seals all rows that came without a batch; returns how many.
pub(crate) async fn seal_late(connection: &mut PgConnection) -> Result<u64, EvidenceError> {
    late::seal(connection, Reach::All).await
}

/// Whoever seals or makes a checkpoint holds this until the end of the transaction.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7022364302122319875)";

/// How far back is looked for what is not sealed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of it.
    All,
    /// What is at most a day old: for those who look every few minutes.
    Recent,
}

impl Reach {
    /// As a condition on a column.
    fn condition(self, column: &str) -> String {
        match self {
            Self::All => String::new(),
            Self::Recent => format!(" AND {column} > now() - interval '1 day'"),
        }
    }
}

/// Why no checkpoint could be made, or nothing verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// A key or a checkpoint cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The last checkpoint cannot be gone on from.
    #[error(
        "the last checkpoint in the database cannot be gone on from, nothing is signed: {0}; see audit-trail verify"
    )]
    LastCheckpoint(#[source] KeyError),
    /// What the database holds contradicts itself.
    #[error("{0} is not what was stored, nothing is signed; audit-trail verify says more")]
    Inconsistent(&'static str),
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Appends a row of fields that are not NULL, as binary COPY has it.
fn copy_in_row(rows: &mut Vec<u8>, fields: &[&[u8]]) {
    rows.extend_from_slice(&(fields.len() as i16).to_be_bytes());
    for field in fields {
        copy::push_field(rows, Some(field));
    }
}

/// Stores rows made by [`copy_in_row`].
async fn copy_in(connection: &mut PgConnection, statement: &str, rows: &[u8]) -> Result<(), EvidenceError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for part in [copy::HEADER, rows, copy::TRAILER] {
        copy.send(part).await?;
    }
    copy.finish().await?;
    Ok(())
}
