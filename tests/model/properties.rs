//! The properties that hold in every state.

use crate::batch::{Batch, Positions};
use crate::state::{Process, State};

/// The records in some batch.
fn records(batches: &[Batch]) -> Positions {
    batches.iter().fold(0, |records, batch| records | batch.records)
}

/// A property that does not hold.
pub fn violation(state: &State) -> Option<&'static str> {
    let mut stored = state.database.stored.clone();
    stored.sort_unstable();
    if state.released & !records(state.database.on_disk()) != 0 {
        return Some("the journal has let go of a record that the database does not have on its disk");
    }
    if stored.windows(2).any(|pair| pair[0].overlaps(&pair[1])) {
        return Some("two stored batches overlap");
    }
    let count: u32 = stored.iter().map(|batch| batch.records.count_ones()).sum();
    if count != records(&stored).count_ones() {
        return Some("a record is stored twice");
    }
    if state.has_conflict {
        return Some("a batch met another one in its place");
    }
    // The batch behind lost records names them: `verify` reports that they are gone.
    if is_done(state) && !state.has_lost && !is_chain(&stored) {
        return Some("all is stored, and verify reports a broken chain");
    }
    None
}

/// Whether everything that a process finds on the disk is stored, and no process is at work.
pub fn is_done(state: &State) -> bool {
    let is_idle = match &state.process {
        Process::Recorder(recorder) => recorder.is_idle(),
        Process::Adopter(_) => false,
        Process::None => state.disk.is_removed,
    };
    is_idle && state.disk.records() & !records(state.database.on_disk()) == 0
}

/// Whether each batch names the one before it: `evidence::verify::chain`.
fn is_chain(stored: &[Batch]) -> bool {
    let before = std::iter::once(None).chain(stored.iter().map(|batch| Some(batch.link())));
    stored.iter().zip(before).all(|(batch, before)| batch.cut.previous == before)
}
