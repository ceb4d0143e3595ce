//! The tree of all batches, verified from leaves and checkpoints that are kept outside of the database.

use super::claims::{Claims, Reading};
use super::finding::{Finding, Report};
use crate::evidence::head::SignedHead;
use crate::evidence::key::{KeyError, PublicKey};
use crate::evidence::keyring::{Keyring, Rotations};
use crate::seal::merkle::{Frontier, Hash};
use std::collections::HashSet;

/// Holds a tree that grows leaf by leaf, and the checkpoints with which it is compared.
pub struct OfflineTree {
    claims: Claims,
    keyring: Keyring,
    frontier: Frontier,
    next: usize,
    found: HashSet<usize>,
}

impl OfflineTree {
    /// Reads the checkpoints, and returns their findings.
    ///
    /// `stored` are rows of `audit_checkpoints`: id, size of the tree, note. `saved` were kept
    /// elsewhere: a name, and the note.
    pub fn new(
        keys: &[PublicKey],
        stored: &[(i64, u64, String)],
        saved: &[(String, String)],
        report: &mut Report,
    ) -> (Self, Vec<Finding>) {
        let mut rotations = Rotations::default();
        stored.iter().map(|(_, _, note)| note).chain(saved.iter().map(|(_, note)| note)).for_each(|note| {
            rotations.add(note);
        });
        let mut reading = Reading::new(&rotations, keys);
        stored.iter().for_each(|(id, size, note)| reading.stored(*id, *size, note));
        saved.iter().for_each(|(called, note)| reading.saved(called, note));
        let mut findings = Vec::new();
        let (claims, keyring) = reading.end(report, &mut findings);
        let mut tree = Self { claims, keyring, frontier: Frontier::default(), next: 0, found: HashSet::new() };
        tree.compare();
        (tree, findings)
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: [u8; 32]) {
        self.frontier.push(Hash(leaf));
        self.compare();
    }

    fn compare(&mut self) {
        self.claims.reached(&self.frontier, &mut self.next, &mut self.found);
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Returns the size of the tree in the last stored checkpoint.
    pub fn last_size(&self) -> u64 {
        self.claims.last_size
    }

    /// Verifies a statement that a key in force at this checkpoint signed, and returns its text.
    ///
    /// # Errors
    /// None of the keys signed it, or it was changed, or `checkpoint` is none.
    pub fn statement(&self, note: &str, checkpoint: &str) -> Result<String, KeyError> {
        self.keyring.statement(note, &SignedHead::read(checkpoint)?)
    }

    /// Returns the findings of checkpoints that the tree does not have.
    pub fn end(&self, report: &mut Report) -> Vec<Finding> {
        report.batches = self.frontier.size();
        report.checkpoints = self.found.len() as u64;
        self.claims.compared(&self.found, self.frontier.size())
    }
}
