//! The batches of each journal, one behind the other, in the memory of those that wait for another one.

use super::Findings;
use crate::lake::batch::Batch;
use audit_runtime::evidence::{Finding, FindingKind};
use std::collections::{BTreeSet, HashMap};
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

/// A batch states those before it that were not stored when it was made: of the last few thousand.
const REMEMBERED: usize = 4_096;
/// Journals whose last batches are remembered.
const JOURNALS: usize = 10_000;

/// Where the last batches of a journal begin.
struct Begun {
    positions: BTreeSet<i64>,
    forgotten: i64,
}

/// The ends of all chains. A journal's batches mostly come in their order.
#[derive(Default)]
pub(super) struct Chain {
    last: HashMap<(Uuid, i64), Last>,
    waiting: HashMap<(Uuid, i64), Waiting>,
    /// The batch of each journal that has none before it.
    first: HashMap<Uuid, Uuid>,
    begun: HashMap<Uuid, Begun>,
    has_forgotten: bool,
    /// Batches that were sent before another one was made, and that did not come yet: that other one.
    sent: HashMap<(Uuid, i64), Uuid>,
}

impl Chain {
    /// Adds a batch.
    pub(super) fn push(&mut self, batch: &Batch, findings: &mut Findings<'_>) {
        let (journal, first) = (batch.journal_id, batch.first_position);
        let last = Last { id: batch.id, end: batch.end_position, root: batch.root.clone() };
        let mut found = |kind, text: String| findings.found(Finding::new(kind, Some(batch.id), None, text));
        match (batch.previous_position, &batch.previous_root) {
            (Some(position), Some(root)) => {
                let waiting = Waiting { id: batch.id, first, root: root.clone() };
                match self.last.remove(&(journal, position)) {
                    Some(before) => follows(&before, &waiting, journal, &mut found),
                    None => {
                        if let Some(other) = self.waiting.insert((journal, position), waiting) {
                            let text = format!(
                                "it follows on the batch at {position} of journal {journal}, as batch {} does",
                                other.id
                            );
                            found(FindingKind::ChainBroken, text);
                        }
                    }
                }
            }
            (None, None) => {
                if let Some(other) = self.first.insert(journal, batch.id) {
                    found(
                        FindingKind::ChainBroken,
                        format!("it is the first of journal {journal}, as batch {other} is"),
                    );
                }
            }
            _ => found(FindingKind::ChainBroken, "it names the batch before it by half".into()),
        }
        self.sent(batch);
        match self.waiting.remove(&(journal, first)) {
            Some(next) => follows(&last, &next, journal, &mut |kind, text| {
                findings.found(Finding::new(kind, Some(next.id), None, text));
            }),
            None => {
                if let Some(other) = self.last.insert((journal, first), last) {
                    let text = format!("it begins at {first} of journal {journal}, as batch {} does", other.id);
                    findings.found(Finding::new(FindingKind::BatchInserted, Some(batch.id), None, text));
                }
            }
        }
    }

    /// Notes where a batch begins, and the batches that it states were sent before it.
    fn sent(&mut self, batch: &Batch) {
        let (journal, first) = (batch.journal_id, batch.first_position);
        if self.begun.len() > JOURNALS {
            self.begun.clear();
            self.has_forgotten = true;
        }
        let forgotten = batch.previous_position.filter(|_| self.has_forgotten).unwrap_or(i64::MIN);
        let begun = self.begun.entry(journal).or_insert_with(|| Begun { positions: BTreeSet::new(), forgotten });
        let open =
            batch.open_positions.as_deref().unwrap_or_default().as_chunks().0.iter().copied().map(i64::from_be_bytes);
        for at in open.filter(|at| *at > begun.forgotten && !begun.positions.contains(at)) {
            self.sent.entry((journal, at)).or_insert(batch.id);
        }
        self.sent.remove(&(journal, first));
        begun.positions.insert(first);
        if begun.positions.len() > REMEMBERED {
            begun.forgotten = begun.positions.pop_first().unwrap_or(begun.forgotten);
        }
    }

    /// Reports the batches whose predecessors are missing.
    pub(super) fn end(self, findings: &mut Findings<'_>) {
        const REMEDY: &str =
            "it is gone, or no checkpoint covered it yet: run audit-trail checkpoint and lake sync, and verify again";
        let mut sent = self.sent;
        sent.retain(|at, _| !self.waiting.contains_key(at));
        let waiting = self.waiting.into_iter().map(|((journal, position), waiting)| {
            (
                waiting.id,
                format!(
                    "the batch before it, which begins at {position} of journal {journal}, is not in the lake: {REMEDY}"
                ),
            )
        });
        let sent = sent.into_iter().map(|((journal, position), id)| {
            (id, format!("a batch before it, which begins at {position} of journal {journal}, was sent when it was, and is not in the lake: {REMEDY}"))
        });
        for (id, text) in waiting.chain(sent) {
            findings.found(Finding::new(FindingKind::BatchMissing, Some(id), None, text));
        }
    }
}

/// Compares a batch with the one that it states is before it.
fn follows(before: &Last, next: &Waiting, journal: Uuid, found: &mut dyn FnMut(FindingKind, String)) {
    if before.root != next.root {
        found(FindingKind::ChainBroken, format!("it does not follow on batch {} of journal {journal}", before.id));
    }
    if next.first < before.end {
        let text = format!(
            "it begins at {} of journal {journal}, and batch {} ends at {} only",
            next.first, before.id, before.end
        );
        found(FindingKind::BatchInserted, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_runtime::Timestamp;
    use audit_runtime::evidence::Report;

    /// A batch whose root is its number, and which follows on another one.
    fn batch(number: u8, positions: (i64, i64), before: Option<(i64, u8)>, open: &[i64]) -> Batch {
        Batch {
            number: number.into(),
            id: Uuid::from_u128(number.into()),
            journal_id: Uuid::from_u128(7),
            first_position: positions.0,
            end_position: positions.1,
            rows: 1,
            origin: String::new(),
            created_at: Timestamp::from_unix_micros(0),
            first_event_at: None,
            last_event_at: None,
            previous_position: before.map(|(position, _)| position),
            previous_root: before.map(|(_, root)| vec![root; 32]),
            open_positions: Some(open.iter().flat_map(|at| at.to_be_bytes()).collect()),
            root: vec![number; 32],
            form: 1,
            leaf: [0; 32],
        }
    }

    fn found(batches: &[Batch]) -> Vec<(FindingKind, String)> {
        let mut found = Vec::new();
        let mut tell = |step: super::super::Step| match step {
            super::super::Step::Found(finding) => found.push((finding.kind, finding.text)),
            super::super::Step::Rows { .. } => {}
        };
        let mut findings = Findings { report: Report::default(), tell: &mut tell };
        let mut chain = Chain::default();
        batches.iter().for_each(|batch| chain.push(batch, &mut findings));
        chain.end(&mut findings);
        found
    }

    #[test]
    fn batches_in_any_order_of_the_tree_are_a_chain() {
        let all = [
            batch(1, (0, 9), None, &[]),
            batch(2, (9, 12), Some((0, 1)), &[0]),
            batch(3, (12, 20), Some((9, 2)), &[0, 9]),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            assert_eq!(found(&order.map(|at| all[at].clone())), []);
        }
    }

    #[test]
    fn a_chain_that_is_not_one_is_found() {
        let first = || batch(1, (0, 9), None, &[]);
        for (others, kind, words) in [
            (vec![batch(2, (9, 12), None, &[])], FindingKind::ChainBroken, "the first of journal"),
            (vec![batch(2, (9, 12), Some((0, 8)), &[])], FindingKind::ChainBroken, "does not follow"),
            (vec![batch(2, (5, 12), Some((0, 1)), &[])], FindingKind::BatchInserted, "ends at 9 only"),
            (vec![batch(2, (0, 12), None, &[])], FindingKind::BatchInserted, "as batch"),
            (vec![batch(3, (20, 22), Some((9, 2)), &[])], FindingKind::BatchMissing, "begins at 9 of"),
            (vec![batch(3, (20, 22), Some((9, 2)), &[9])], FindingKind::BatchMissing, "begins at 9 of"),
            // The chain leads around a batch that was sent, and removed.
            (vec![batch(3, (20, 22), Some((0, 1)), &[9])], FindingKind::BatchMissing, "was sent when it was"),
            (
                vec![batch(3, (20, 22), Some((9, 2)), &[]), batch(4, (22, 23), Some((9, 2)), &[])],
                FindingKind::ChainBroken,
                "as batch",
            ),
        ] {
            let mut batches = vec![first()];
            batches.extend(others);
            let found = found(&batches);
            assert!(found.iter().any(|(of, text)| *of == kind && text.contains(words)), "{words}: {found:?}");
            assert!(found.len() <= 2, "{found:?}");
        }
    }
}
