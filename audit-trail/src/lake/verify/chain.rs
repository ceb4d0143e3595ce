//! The batches of each journal, one behind the other, in the memory of those that wait for another one.

use super::Findings;
use crate::lake::batch::Batch;
use audit_runtime::evidence::{Finding, FindingKind};
use std::collections::HashMap;
use uuid::Uuid;

/// A batch that no other one has followed yet.
struct Last {
    id: Uuid,
    end: i64,
    root: Vec<u8>,
}

/// A batch whose predecessor has not come yet.
struct Waiting {
    id: Uuid,
    first: i64,
    root: Vec<u8>,
}

/// The ends of all chains. A journal's batches mostly come in their order.
#[derive(Default)]
pub(super) struct Chain {
    last: HashMap<(Uuid, i64), Last>,
    waiting: HashMap<(Uuid, i64), Waiting>,
}

impl Chain {
    /// Adds a batch.
    pub(super) fn push(&mut self, batch: &Batch, findings: &mut Findings<'_>) {
        let (journal, first) = (batch.journal_id, batch.first_position);
        let last = Last { id: batch.id, end: batch.end_position, root: batch.root.clone() };
        match (batch.previous_position, &batch.previous_root) {
            (Some(position), Some(root)) => {
                let waiting = Waiting { id: batch.id, first, root: root.clone() };
                match self.last.remove(&(journal, position)) {
                    Some(before) => follows(&before, &waiting, journal, findings),
                    None => drop(self.waiting.insert((journal, position), waiting)),
                }
            }
            (None, None) => {}
            _ => {
                let text = "it names the batch before it by half".into();
                findings.found(Finding::new(FindingKind::ChainBroken, Some(batch.id), None, text));
            }
        }
        match self.waiting.remove(&(journal, first)) {
            Some(next) => follows(&last, &next, journal, findings),
            None => drop(self.last.insert((journal, first), last)),
        }
    }

    /// Reports the batches whose predecessors are missing.
    pub(super) fn end(self, findings: &mut Findings<'_>) {
        for ((journal, position), waiting) in self.waiting {
            let text =
                format!("the batch before it, which begins at {position} of journal {journal}, is not in the lake");
            findings.found(Finding::new(FindingKind::BatchMissing, Some(waiting.id), None, text));
        }
    }
}

fn follows(before: &Last, next: &Waiting, journal: Uuid, findings: &mut Findings<'_>) {
    if before.root != next.root {
        let text = format!("it does not follow on batch {} of journal {journal}", before.id);
        findings.found(Finding::new(FindingKind::ChainBroken, Some(next.id), None, text));
    }
    if next.first < before.end {
        let text = format!(
            "it begins at {} of journal {journal}, and batch {} ends at {} only",
            next.first, before.id, before.end
        );
        findings.found(Finding::new(FindingKind::BatchInserted, Some(next.id), None, text));
    }
}
