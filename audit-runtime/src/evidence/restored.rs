//! A log that goes on after its database went back in time.
//!
//! The tree that the old checkpoints attest is not the one in the database any more: batches that were
//! stored again have another time, and another place. One name stands for one log. So the log goes on
//! under another name, and the first checkpoint of that states the last one of the old name:
//!
//! ```text
//! restored audit.example.com/desk 1042 4eccd1..        its name, its size, its root in hexadecimal
//! ```

use super::checkpoint::{Checkpoint, Statement, last_note, make_behind};
use super::error::{EvidenceError, Failure};
use super::head::{RESTORED, Restored, SignedHead};
use super::key::{PublicKey, SigningKey};
use super::keyring::Rotations;
use super::unbatched::Lookback;
use crate::event::reserved;
use crate::event::{Timestamp, clock, ids};
use crate::postgres::system_event;
use serde_json::json;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// A log that went on under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restoration {
    /// The first checkpoint under the new name.
    pub checkpoint: Checkpoint,
    /// The event `audit.restored`, which the checkpoint covers.
    pub event: Uuid,
    /// The number of batches that the last checkpoint of the old name covers.
    pub batches_before: u64,
    /// The time of that checkpoint, as it states it.
    pub time_before: Option<Timestamp>,
    /// The number of batches up to which the old log and this one agree.
    pub agreed_batches: u64,
    /// The time up to which they agree, or `None` if no checkpoint of the old name is left.
    pub agreed_time: Option<Timestamp>,
}

fn refused(why: impl Into<String>) -> EvidenceError {
    EvidenceError::Restored(why.into())
}

fn time(head: &SignedHead) -> Option<Timestamp> {
    head.time.as_ref().and_then(|time| time.parse().ok())
}

/// Records that the database went back, and makes the first checkpoint under the name of a new key.
pub(crate) async fn restore(
    connection: &mut PgConnection,
    key: &SigningKey,
    note: &str,
    old_key: Option<&PublicKey>,
    actor: Option<&str>,
) -> Result<Restoration, Failure> {
    // Keys of the old name may have been exchanged, as the database or the checkpoint itself states.
    let mut rotations = Rotations::read(connection).await?;
    rotations.add(note);
    let keyring = old_key.map(|key| rotations.keyring(std::slice::from_ref(key)));
    let open = |note: &str| keyring.as_ref().map_or_else(|| SignedHead::read(note), |keyring| keyring.open(note));
    let old = open(note)?;
    let name = key.public().name();
    if old.name == name {
        let why = format!(
            "{name} is the old name, and the key has it too; make one of another name with audit-trail checkpoint --new-key NAME"
        );
        return Err(refused(why).into());
    }
    let mut transaction = connection.begin().await?;
    let left = last_note(&mut transaction).await?;
    let left = left.as_deref().map(open).transpose().map_err(EvidenceError::LastCheckpoint)?;
    if let Some(left) = &left {
        agrees(left, &old, name)?;
    }
    let event = ids::event_id(clock::micros_now());
    let data = json!({
        "name": name,
        "last_checkpoint": {
            "name": old.name, "number": old.number, "batches": old.size, "root": hex::encode(old.root.0), "time": old.time,
        },
        "agreed": {"batches": left.as_ref().map_or(0, |left| left.size), "time": left.as_ref().and_then(|left| left.time.as_ref())},
    });
    let user: String = sqlx::query_scalar("SELECT session_user::text").fetch_one(&mut *transaction).await?;
    system_event::record(&mut transaction, event, reserved::RESTORED, actor.unwrap_or(&user), &data).await?;
    let line = Restored { name: old.name.clone(), size: old.size, root: old.root };
    // Another session may have made a checkpoint meanwhile.
    let is_the_same = |last: Option<&SignedHead>| {
        if last == left.as_ref() { Ok(()) } else { Err(refused("another session has made a checkpoint meanwhile")) }
    };
    let read = |note: &str| SignedHead::read(note).map_err(EvidenceError::LastCheckpoint);
    let lines = format!("{RESTORED}{line}\n");
    let statement = Statement { lines: &lines, next: None };
    let checkpoint = make_behind(&mut transaction, key, Lookback::All, read, is_the_same, statement).await?;
    transaction.commit().await?;
    Ok(Restoration {
        checkpoint,
        event,
        batches_before: old.size,
        time_before: time(&old),
        agreed_batches: left.as_ref().map_or(0, |left| left.size),
        agreed_time: left.as_ref().and_then(time),
    })
}

/// Refuses an old checkpoint that is not the last one of the log in the database.
fn agrees(left: &SignedHead, old: &SignedHead, name: &str) -> Result<(), EvidenceError> {
    if left.name == name {
        return Err(refused(format!(
            "it has checkpoints of {name} already; audit-trail checkpoint makes the next one"
        )));
    }
    if left.name != old.name {
        return Err(refused(format!(
            "the checkpoint is of {}, and the last one in the database of {}",
            old.name, left.name
        )));
    }
    let is_later = left.size > old.size || left.number > old.number;
    if is_later || (left.size == old.size && left.root != old.root) {
        let why = format!(
            "the checkpoint covers {} batches, and the last one in the database {}; name the last one that was saved of {}",
            old.size, left.size, old.name
        );
        return Err(refused(why));
    }
    Ok(())
}
