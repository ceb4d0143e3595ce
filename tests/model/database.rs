//! PostgreSQL, with two relays in front of it.
//!
//! A relay has no state but its transaction. A relay that is killed is a transaction that ends,
//! with or without its commit, and an answer that does not come.

use crate::batch::Batch;

/// A batch on its way to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    /// The batch.
    pub batch: Batch,
    /// Its commit waits for the disk of the server.
    pub waits: bool,
}

/// The outcome of a message that has arrived at a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// A transaction is open.
    Open,
    /// The database has the batch.
    Stored,
    /// Another transaction holds the place, or every relay has one.
    Waits,
    /// Another batch is there: `Conflict`.
    Conflict,
}

/// The batches in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Database {
    /// The committed batches: first those on its disk, by place, then the others by their commits.
    pub stored: Vec<Batch>,
    /// So many of them are on its disk.
    pub durable: u8,
    /// The transactions under way, one for each relay that has one.
    pub open: Vec<Message>,
}

impl Database {
    /// Begins to store a batch: `store::begin`.
    pub fn begin(&mut self, message: Message, relays: usize, guard: bool) -> Begun {
        let batch = message.batch;
        let meets = |other: &Batch| other.cut.first == batch.cut.first || guard && other.overlaps(&batch);
        match self.stored.iter().find(|stored| meets(stored)) {
            Some(stored) if stored.is(&batch) => Begun::Stored,
            Some(_) => Begun::Conflict,
            None if self.open.len() == relays || self.open.iter().any(|open| meets(&open.batch)) => Begun::Waits,
            None => {
                self.open.push(message);
                self.open.sort_unstable();
                Begun::Open
            }
        }
    }

    /// Commits a transaction: the end of `store::store`.
    pub fn commit(&mut self, transaction: usize) -> Batch {
        let message = self.open.remove(transaction);
        self.stored.push(message.batch);
        if message.waits {
            self.flush();
        }
        message.batch
    }

    /// Has all commits on the disk: `store::durable`.
    pub fn flush(&mut self) {
        self.durable = self.stored.len() as u8;
        self.stored.sort_unstable();
    }

    /// The batches that survive a crash of the server.
    pub fn on_disk(&self) -> &[Batch] {
        &self.stored[..usize::from(self.durable)]
    }

    /// The databases that a crash of the server may leave.
    pub fn after_crash(&self) -> impl Iterator<Item = Self> {
        (usize::from(self.durable)..=self.stored.len()).map(|kept| {
            let mut left = Self { stored: self.stored[..kept].to_vec(), durable: 0, open: Vec::new() };
            left.flush();
            left
        })
    }
}
