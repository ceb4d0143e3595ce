//! The sinks of batches: PostgreSQL, or a relay in front of it.
//!
//! A lane knows nothing else of them. It hands a batch over, and is answered by the batch's key and
//! root. The journal lets go of a batch on that answer alone, which a sink gives for a batch that the
//! database has committed.

use super::already_stored::Claim;
use super::batch::Batch;
use super::interrupted_calls::OpenIntent;
use super::parts::ServiceCatalogue;
use super::store::StoreOutcome;
use crate::journal::Noticed;
use crate::privacy::KeyKeeper;
use crate::seal::merkle::Hash;
use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use uuid::Uuid;

/// A future of a sink's answer.
pub(crate) type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'a>>;

/// A batch's place in its journal and its root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Key {
    pub(crate) journal: Uuid,
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) root: Option<Hash>,
}

/// A sink's answer to a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Taken {
    pub(crate) key: Key,
    pub(crate) outcome: StoreOutcome,
}

impl Taken {
    /// Returns what became of this batch.
    ///
    /// # Errors
    /// The answer names another batch.
    pub(crate) fn of(self, batch: &Batch) -> Result<StoreOutcome, sqlx::Error> {
        let asked = batch.key();
        if self.key == asked {
            return Ok(self.outcome);
        }
        let text = format!("the sink was given the batch {asked:?} and answered for {:?}; it is asked again", self.key);
        Err(sqlx::Error::Protocol(text))
    }
}

/// A journal of which every batch is stored, and whose calls under way will never report their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndedJournal {
    pub(crate) journal: Uuid,
    pub(crate) end: u64,
    pub(crate) noticed: Noticed,
}

/// The intents of an ended journal.
#[derive(Debug)]
pub(crate) enum Interruptions {
    /// They are these, and the caller records their interruptions.
    Open(Vec<OpenIntent>),
    /// The sink has recorded so many interruptions itself.
    Made(u64),
    /// This role may not look for them.
    NotAllowed,
}

/// How a sink takes a batch.
#[derive(Clone, Copy)]
pub(crate) struct How<'a> {
    /// The answer waits until the disk of the server has the batch.
    pub(crate) waits_for_disk: bool,
    /// Is called once the batch waits somewhere beside this process.
    pub(crate) sent: &'a (dyn Fn() + Sync),
}

/// A connection to what takes batches. After an error it is not to be used again.
pub(crate) trait Sink: KeyKeeper + fmt::Debug {
    /// Takes a batch that is closed, and answers once the database has committed it, or has it
    /// already.
    fn store<'a>(&'a mut self, batch: &'a Batch, how: How<'a>) -> Answering<'a, Taken>;

    /// Returns the batches that are stored of a journal whose records begin at `start`, if it may be
    /// adopted.
    fn claim(&mut self, journal: Uuid, start: u64) -> Answering<'_, Claim>;

    /// Waits for the disk of the server, and returns which of these batches it has then.
    fn durable<'a>(&'a mut self, batches: &'a [(Uuid, u64)]) -> Answering<'a, HashSet<(Uuid, u64)>>;

    /// Looks for the intents of an ended journal, or records their interruptions itself.
    fn interrupt(&mut self, ended: EndedJournal) -> Answering<'_, Interruptions>;

    /// Stores the catalogue of a service. The inner error leaves the connection usable.
    fn catalogue<'a>(
        &'a mut self,
        catalogue: &'a ServiceCatalogue,
        origin: &'a str,
    ) -> Answering<'a, Result<(), sqlx::Error>>;

    /// Returns whether other writers wait for a connection like this.
    fn is_scarce(&mut self) -> Answering<'_, bool>;

    /// Returns the connection.
    fn close(self: Box<Self>) -> Answering<'static, ()>;
}

impl Batch {
    /// Returns the key by which a sink answers it.
    pub(crate) fn key(&self) -> Key {
        let root = self.seal.as_ref().map(|seal| seal.root);
        Key { journal: self.journal_id, first: self.first, end: self.end, root }
    }
}
