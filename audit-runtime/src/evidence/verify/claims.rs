//! The checkpoints that attest a tree: those in the database, and those that were saved elsewhere.

use super::finding::{Finding, FindingKind, Report};
use crate::event::Timestamp;
use crate::evidence::error::Failure;
use crate::evidence::head::SignedHead;
use crate::evidence::key::{KeyError, PublicKey};
use crate::evidence::keyring::{Keyring, Rotations};
use crate::postgres::copy::decode;
use crate::seal::merkle::Frontier;
use sqlx::postgres::PgConnection;
use std::collections::HashSet;

/// The tree as a checkpoint describes it.
pub(super) struct Claim {
    /// The name that findings give it.
    pub(super) called: String,
    pub(super) head: SignedHead,
    is_saved: bool,
}

impl Claim {
    fn time(&self) -> Option<Timestamp> {
        self.head.time.as_ref().and_then(|time| time.parse().ok())
    }

    /// Its time, in words.
    fn when(&self) -> String {
        self.head.time.clone().unwrap_or_else(|| "a time that it does not state".into())
    }
}

/// The checkpoints of a trail.
#[derive(Default)]
pub(super) struct Claims {
    /// By the sizes of their trees.
    pub(super) all: Vec<Claim>,
    /// The time of the last one.
    pub(super) last: Option<Timestamp>,
    /// The size in the last one that is stored.
    pub(super) last_size: u64,
    /// How many are stored.
    stored: u64,
    /// The first ones under another name, after a restore.
    restored: Vec<SignedHead>,
}

/// Reads the checkpoints of a trail, one after another.
pub(super) struct Reading {
    keyring: Keyring,
    claims: Claims,
    misplaced: Vec<i64>,
    name: Option<String>,
    findings: Vec<Finding>,
    signatures: u64,
    has_keys: bool,
}

impl Reading {
    /// Begins with the keys to which exchanges lead from these.
    pub(super) fn new(rotations: &Rotations, keys: &[PublicKey]) -> Self {
        let keyring = rotations.keyring(keys);
        let found = |kind: FindingKind| move |text: String| Finding::new(kind, None, None, text);
        let mut findings: Vec<Finding> = keyring.exchanges().into_iter().map(found(FindingKind::Rotated)).collect();
        findings.extend(keyring.problems().into_iter().map(found(FindingKind::Signature)));
        let claims = Claims::default();
        Self { keyring, claims, misplaced: Vec::new(), name: None, findings, signatures: 0, has_keys: !keys.is_empty() }
    }

    fn read(&mut self, called: String, note: &str, is_saved: bool) -> Option<Claim> {
        match open(&called, note, &self.keyring) {
            Ok(head) => {
                self.signatures += u64::from(self.has_keys);
                Some(Claim { called, head, is_saved })
            }
            Err(finding) => {
                self.findings.push(finding);
                None
            }
        }
    }

    /// Reads a row of `audit_checkpoints`, in their order.
    pub(super) fn stored(&mut self, id: i64, size: u64, note: &str) {
        if let Some(claim) = self.read(format!("checkpoint {id} in audit_checkpoints"), note, false) {
            let claims = &mut self.claims;
            let SignedHead { number, restored, .. } = &claim.head;
            let name = self.name.as_ref();
            let goes_on = restored.as_ref().is_some_and(|restored| name.is_none_or(|name| *name == restored.name));
            let is_renamed = name.is_some_and(|name| *name != claim.head.name) && !goes_on;
            if claim.head.size != size || *number != Some(claims.stored) || is_renamed {
                self.misplaced.push(id);
            }
            claims.stored = number.unwrap_or(claims.stored);
            claims.last_size = claim.head.size;
            self.name = Some(claim.head.name.clone());
            claims.restored.extend(restored.is_some().then(|| claim.head.clone()));
            claims.all.push(claim);
        }
        self.claims.stored += 1;
    }

    /// Reads a checkpoint that was saved elsewhere.
    pub(super) fn saved(&mut self, called: &str, note: &str) {
        let claim = self.read(called.to_owned(), note, true);
        self.claims.all.extend(claim);
    }

    /// Returns the checkpoints and their keys, and reports those that are not in order.
    pub(super) fn end(mut self, report: &mut Report, findings: &mut Vec<Finding>) -> (Claims, Keyring) {
        findings.append(&mut self.findings);
        findings.extend(self.misplaced.into_iter().map(|id| {
            problem(format!(
                "checkpoint {id} in audit_checkpoints is not in its place, or the one before it is gone, or its size or its name is another"
            ))
        }));
        let mut claims = self.claims;
        if claims.stored == 0 && self.has_keys {
            findings
                .push(problem("audit_checkpoints is empty: no checkpoint was made yet, or all were removed".into()));
        }
        report.signatures += self.signatures;
        claims.last = claims.all.iter().filter_map(Claim::time).max();
        claims.all.sort_by_key(|claim| claim.head.size);
        // Without a key, anybody could have written that the log was restored.
        claims.restored.retain(|_| self.has_keys);
        (claims, self.keyring)
    }
}

impl Claims {
    /// Reads them, and reports those that are not in order.
    pub(super) async fn read(
        connection: &mut PgConnection,
        keys: &[PublicKey],
        saved: &[(String, String)],
        report: &mut Report,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, Failure> {
        let mut rotations = Rotations::read(connection).await?;
        saved.iter().for_each(|(_, note)| rotations.add(note));
        let mut reading = Reading::new(&rotations, keys);
        decode::rows(connection, "SELECT id, tree_size, note FROM audit_checkpoints ORDER BY id", |row| {
            let mut fields = row.fields();
            let (id, size, note) = (fields.i64()?, fields.i64()?.cast_unsigned(), fields.next()?.unwrap_or_default());
            reading.stored(id, size, &String::from_utf8_lossy(note));
            Ok::<_, Failure>(())
        })
        .await?;
        saved.iter().for_each(|(called, note)| reading.saved(called, note));
        let (claims, _) = reading.end(report, findings);
        findings.extend(frontier(connection).await?);
        Ok(claims)
    }

    /// Notes the checkpoints whose size and root the growing tree has now, from the given one on.
    pub(super) fn reached(&self, frontier: &Frontier, next: &mut usize, found: &mut HashSet<usize>) {
        while let Some(claim) = self.all.get(*next).filter(|claim| claim.head.size <= frontier.size()) {
            if claim.head.size == frontier.size() && claim.head.root == frontier.root() {
                found.insert(*next);
            }
            *next += 1;
        }
    }

    /// Reports the checkpoints that the tree does not have, of which `found` is told.
    ///
    /// A log that went back, and goes on under another name, states the last checkpoint of the old
    /// name. Up to that, checkpoints of the old name which the database lacks are a fact and no problem.
    pub(super) fn compared(&self, found: &HashSet<usize>, in_tree: u64) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (at, claim) in self.all.iter().enumerate() {
            let head = &claim.head;
            let is_gone = claim.is_saved && head.number.is_some_and(|number| number >= self.stored);
            if found.contains(&at) && !is_gone {
                continue;
            }
            let of_name = |other: &&Claim| other.head.name == head.name;
            let agreed = self.all.iter().enumerate().filter(|(at, _)| found.contains(at)).map(|(_, claim)| claim);
            let agreed = agreed.filter(of_name).max_by_key(|claim| claim.head.size);
            let agrees = agreed.map_or_else(
                || "no checkpoint of its name agrees with the batches that are here".into(),
                |agreed| format!("both agree up to {} batches, at {}", agreed.head.size, agreed.when()),
            );
            let left =
                self.all.iter().filter(|other| !other.is_saved).filter(of_name).map(|other| other.head.size).max();
            let restored = self.restored.iter().find(|first| {
                first.restored.as_ref().is_some_and(|last| {
                    let is_last = last.size == head.size && last.root == head.root;
                    last.name == head.name
                        && (is_last || head.size < last.size)
                        && left.is_none_or(|left| left < head.size)
                })
            });
            let behind = agreed.map_or(head.size, |agreed| head.size.saturating_sub(agreed.head.size));
            findings.push(match restored.filter(|_| claim.is_saved) {
                Some(first) => Finding::new(
                    FindingKind::Restored,
                    None,
                    None,
                    format!(
                        "{}: the database went back behind it, as {} states: {agrees}. It covers {behind} further batches, until {}: these were \
                         sent again, or are missing",
                        claim.called, first.name, claim.when()
                    ),
                ),
                None if found.contains(&at) => problem(format!(
                    "{}: it is number {}, and only {} are left in audit_checkpoints",
                    claim.called, head.number.unwrap_or_default(), self.stored
                )),
                None if head.size > in_tree => problem(format!(
                    "{}: it covers {} batches, and {in_tree} are left: the last ones were removed, or the database went back; {agrees}",
                    claim.called, head.size
                )),
                None => problem(format!(
                    "{}: the first {} batches are not those it was made of: what they hold was changed and sealed again, or the tree was, \
                     or the database went back; {agrees}",
                    claim.called, head.size
                )),
            });
        }
        findings
    }
}

fn problem(text: String) -> Finding {
    Finding::new(FindingKind::Checkpoint, None, None, text)
}

/// Looks at the frontier of the last stored checkpoint.
async fn frontier(connection: &mut PgConnection) -> Result<Option<Finding>, Failure> {
    let last: Option<(Vec<u8>, String)> =
        sqlx::query_as("SELECT frontier, note FROM audit_checkpoints ORDER BY id DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    if let Some((frontier, note)) = last
        && let Ok(head) = SignedHead::read(&note)
        && Frontier::from_bytes(head.size, &frontier).is_none_or(|frontier| frontier.root() != head.root)
    {
        let text = "the last checkpoint in audit_checkpoints: its frontier does not belong to its root".into();
        return Ok(Some(problem(text)));
    }
    Ok(None)
}

/// Reads a checkpoint, and reports its problems.
fn open(called: &str, note: &str, keyring: &Keyring) -> Result<SignedHead, Finding> {
    let named = |text: String| Finding::new(FindingKind::Signature, None, None, format!("{called}: {text}"));
    if keyring.is_empty() {
        return SignedHead::read(note).map_err(|error| named(error.to_string()));
    }
    keyring.open(note).map_err(|error| match (error, SignedHead::read(note)) {
        (KeyError::Signer, Ok(head)) if !keyring.names(&head.name) => {
            named(format!("{error}; it is of {}: give the public key of that name, too", head.name))
        }
        _ => named(error.to_string()),
    })
}
