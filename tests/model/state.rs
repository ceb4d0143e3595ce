//! The state of everything, and the steps that change it.

use crate::adopter::Adopter;
use crate::batch::{Batch, Positions};
use crate::database::{Database, Message};
use crate::disk::Disk;
use crate::recorder::{Carried, Phase, Recorder};
use crate::rules::Rules;

/// The process that has the journal's lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Process {
    /// It recorded the events.
    Recorder(Recorder),
    /// It adopts them.
    Adopter(Adopter),
    /// None has it.
    None,
}

/// The state of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The directory of the journal.
    pub disk: Disk,
    /// The process that has it.
    pub process: Process,
    /// So many processes have adopted it.
    pub adopters: u8,
    /// The messages in the pipe. Each may arrive at any time, any number of times, or never.
    pub pipe: Vec<Message>,
    /// The answers on their way to the process, which may arrive late or never.
    pub answers: Vec<Batch>,
    /// PostgreSQL, with its relays.
    pub database: Database,
    /// The records that the journal has let go of.
    pub released: Positions,
    /// A power failure took records that were not synced.
    pub has_lost: bool,
    /// A relay or an adopter met another batch or record than it should have.
    pub has_conflict: bool,
    /// The faults that may still happen: kills, power failures, crashes of the server, full disks.
    pub faults: [u8; 4],
}

/// A step of an actor, or of its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The recorder appends a record.
    Append,
    /// The recorder cuts a batch.
    Cut,
    /// The recorder syncs records, and then the cut, of the batch of this lane.
    Sync(usize),
    /// The batch of a lane leaves, for the first time or again.
    Send(usize),
    /// The recorder takes the answer for the batch of a lane, and lets go.
    Release(usize),
    /// A new process adopts the journal.
    Adopt,
    /// The adopter claims it.
    Claim,
    /// The adopter syncs what it finds.
    SyncAll,
    /// The adopter makes its next batch.
    Next,
    /// The adopter syncs the log.
    SyncLog,
    /// The adopter's batch leaves.
    Ship,
    /// The adopter takes the answer for its batch.
    Shipped,
    /// The adopter asks what the server's disk has.
    Durable,
    /// The adopter removes the journal.
    Remove,
    /// A message of the pipe arrives at a relay.
    Arrive(usize),
    /// A relay commits.
    Commit(usize),
    /// A transaction is rolled back: its relay was killed, or its connection cut.
    Rollback(usize),
    /// The pipe loses everything.
    Lose,
    /// The process that has the journal is killed, or lets go of it.
    Kill,
    /// The machine of the journal loses its power.
    PowerFailure,
    /// The server crashes.
    Crash,
    /// The recorder cuts a batch that it cannot note.
    CutUnnoted,
}

impl Default for Process {
    fn default() -> Self {
        Self::Recorder(Recorder::default())
    }
}

impl State {
    /// Hands a batch to the pipe: `RelaySink::store`.
    pub fn send(&mut self, batch: Batch, waits: bool) {
        let message = Message { batch, waits };
        if let Err(at) = self.pipe.binary_search(&message) {
            self.pipe.insert(at, message);
        }
    }

    /// Whether the pipe has a batch.
    pub fn has_sent(&self, batch: &Batch) -> bool {
        self.pipe.iter().any(|message| message.batch == *batch)
    }

    /// Whether an answer has come for a batch: `Carrier::store`, which compares the keys.
    pub fn is_answered(&self, batch: &Batch) -> bool {
        self.answers.iter().any(|answer| answer.is(batch))
    }

    /// Answers, if somebody waits for it. An answer to a process that is gone reaches nobody.
    pub fn answer(&mut self, batch: Batch) {
        let waits = |carried: &Carried| carried.phase == Phase::Sent && carried.batch.is(&batch);
        let is_awaited = match &self.process {
            Process::Recorder(recorder) => recorder.lanes.iter().any(waits),
            Process::Adopter(adopter) => adopter.carried.iter().any(waits),
            Process::None => false,
        };
        if is_awaited && !self.is_answered(&batch) {
            self.answers.push(batch);
            self.answers.sort_unstable();
        }
    }

    /// Refuses a batch. A recorder sends it again, and an adopter leaves the journal for a while:
    /// `Adoption::leave`.
    pub fn refuse(&mut self, batch: &Batch, rules: &Rules) {
        if let Process::Adopter(adopter) = &self.process
            && adopter.carried.is_some_and(|carried| carried.phase == Phase::Sent && carried.batch.is(batch))
        {
            self.end_process(rules);
        }
    }

    /// The process lets go of the journal, or is killed. Nobody takes answers to it any more.
    pub fn end_process(&mut self, rules: &Rules) {
        self.process = Process::None;
        self.answers.clear();
        if !rules.holds_back {
            self.pipe.clear();
        }
    }
}
