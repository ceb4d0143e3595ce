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

impl Claims {
    /// Reads them, and reports those that are not in order.
    pub(super) async fn read(
        connection: &mut PgConnection,
        keys: &[PublicKey],
        saved: &[(String, String)],
        report: &mut Report,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, Failure> {
        let mut claims = Self::default();
        let mut rotations = Rotations::read(connection).await?;
        saved.iter().for_each(|(_, note)| rotations.add(note));
        let keyring = rotations.keyring(keys);
        let found = |kind: FindingKind| move |text: String| Finding::new(kind, None, None, text);
        findings.extend(keyring.exchanges().into_iter().map(found(FindingKind::Rotated)));
        findings.extend(keyring.problems().into_iter().map(found(FindingKind::Signature)));
        let read = |called: String, note: &str, is_saved, report: &mut Report| {
            let head = open(&called, note, &keyring)?;
            report.signatures += u64::from(!keys.is_empty());
            Ok(Claim { called, head, is_saved })
        };
        let (mut misplaced, mut name) = (Vec::new(), None::<String>);
        decode::rows(connection, "SELECT id, tree_size, note FROM audit_checkpoints ORDER BY id", |row| {
            let mut fields = row.fields();
            let (id, size, note) = (fields.i64()?, fields.i64()?.cast_unsigned(), fields.next()?.unwrap_or_default());
            let called = format!("checkpoint {id} in audit_checkpoints");
            match read(called, &String::from_utf8_lossy(note), false, report) {
                Ok(claim) => {
                    let SignedHead { number, restored, .. } = &claim.head;
                    let goes_on = restored
                        .as_ref()
                        .is_some_and(|restored| name.as_ref().is_none_or(|name| *name == restored.name));
                    let is_renamed = name.as_ref().is_some_and(|name| *name != claim.head.name) && !goes_on;
                    if claim.head.size != size || *number != Some(claims.stored) || is_renamed {
                        misplaced.push(id);
                    }
                    claims.stored = number.unwrap_or(claims.stored);
                    claims.last_size = claim.head.size;
                    name = Some(claim.head.name.clone());
                    claims.restored.extend(restored.is_some().then(|| claim.head.clone()));
                    claims.all.push(claim);
                }
                Err(finding) => findings.push(finding),
            }
            claims.stored += 1;
            Ok::<_, Failure>(())
        })
        .await?;
        for (called, note) in saved {
            match read(called.clone(), note, true, report) {
                Ok(claim) => claims.all.push(claim),
                Err(finding) => findings.push(finding),
            }
        }
        findings.extend(misplaced.into_iter().map(|id| {
            problem(format!(
                "checkpoint {id} in audit_checkpoints is not in its place, or the one before it is gone, or its size or its name is another"
            ))
        }));
        if claims.stored == 0 && !keys.is_empty() {
            findings
                .push(problem("audit_checkpoints is empty: no checkpoint was made yet, or all were removed".into()));
        }
        findings.extend(frontier(connection).await?);
        claims.last = claims.all.iter().filter_map(Claim::time).max();
        claims.all.sort_by_key(|claim| claim.head.size);
        // Without a key, anybody could have written that the log was restored.
        claims.restored.retain(|_| !keys.is_empty());
        Ok(claims)
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
