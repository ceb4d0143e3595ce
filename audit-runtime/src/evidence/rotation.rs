//! The exchange of a log's key, and which key may sign which checkpoint.
//!
//! The last checkpoint of the old key states both keys, and both sign it:
//!
//! ```text
//! rotated audit.example.com/desk+1a2b3c4d+AW.. audit.example.com/desk+5e6f7a8b+AX..        the old key, the new one
//! ```
//!
//! A verifier with either key learns the other one from it. The old key signs no later checkpoint, and
//! the new one no earlier one. A key that was stolen later can contradict this statement, and not
//! replace it for a verifier who has the new key.

use super::checkpoint::{Checkpoint, Statement, explained, has_all, in_force, make_behind};
use super::error::{EvidenceError, Failure};
use super::head::{ROTATED, Rotated, SignedHead};
use super::key::{KeyError, PublicKey, SigningKey};
use super::keyring::Rotations;
use super::unbatched::Lookback;
use sqlx::postgres::PgConnection;

fn refused(why: impl Into<String>) -> EvidenceError {
    EvidenceError::Rotation(why.into())
}

/// Returns the key that signs today, for somebody who has this one, or the error of the last checkpoint.
pub(crate) async fn key_in_force(
    connection: &mut PgConnection,
    key: &PublicKey,
) -> Result<Result<PublicKey, KeyError>, sqlx::Error> {
    let rotations = Rotations::read(connection).await?;
    let last = "SELECT note FROM audit_checkpoints ORDER BY id DESC LIMIT 1";
    let last: Option<String> = sqlx::query_scalar(last).persistent(false).fetch_optional(&mut *connection).await?;
    if let Some(Err(error)) = last.map(|note| rotations.keyring(std::slice::from_ref(key)).open(&note)) {
        return Ok(Err(error));
    }
    let mut known = vec![key];
    while let Some((next, _)) = known.last().and_then(|key| rotations.replaced(key))
        && !known.contains(&next)
    {
        known.push(next);
    }
    Ok(Ok(known.pop().unwrap_or(key).clone()))
}

/// Makes the last checkpoint of a key, which hands the log over to another one.
///
/// `known` are checkpoints that were made before. If the database lacks one, nothing is signed.
pub(crate) async fn rotate(
    connection: &mut PgConnection,
    old: &SigningKey,
    new: &SigningKey,
    known: &[SignedHead],
) -> Result<Checkpoint, Failure> {
    let (name, given) = (old.public().name(), new.public().name());
    if name != given {
        let why = format!(
            "the new key has the name {given}, and the log the name {name}; make a key of that name with audit-trail checkpoint --new-key {name}"
        );
        return Err(refused(why).into());
    }
    if old.public() == new.public() {
        return Err(refused("both keys are the same; make a new one with audit-trail checkpoint --new-key").into());
    }
    if Rotations::read(connection).await?.mention(new.public()) {
        let why = format!("the key {} was exchanged before, and each key signs once; make a new one", new.public());
        return Err(refused(why).into());
    }
    let rotated = Rotated { old: old.public().clone(), new: new.public().clone() };
    let statement = Statement { lines: &format!("{ROTATED}{rotated}\n"), next: Some(new) };
    let open = |note: &str| in_force(old, note);
    let made = make_behind(connection, old, Lookback::All, open, |last| has_all(last, known), statement).await;
    explained(connection, old, made).await
}
