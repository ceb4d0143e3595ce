//! Rows that were pruned before the lake got their batch: each is in an account that an event confirms.

use super::Findings;
use super::files::Files;
use crate::failure::Failure;
use crate::lake::manifest::Content;
use crate::lake::table::PRUNED;
use audit_runtime::__private::detached::push_field;
use audit_runtime::evidence::{Finding, FindingKind};
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Json, Timestamp};
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use uuid::Uuid;

/// The event of a prune.
struct Prune {
    actor: String,
    created_at: Timestamp,
    account: Option<String>,
    rows: Option<u64>,
    end: Option<Timestamp>,
}

/// The rows of `audit_pruned` of an event.
#[derive(Default)]
struct Account {
    rows: u64,
    hash: Sha256,
}

/// The leaves that are said to be of rows that a prune removed.
#[derive(Default)]
struct Claimed {
    rows: u64,
    /// The time of the first event of the batch that begins last.
    last: Option<(Timestamp, Uuid)>,
    /// The rows of each batch: the sum of hashes of their ids, in any order.
    batches: HashMap<Uuid, (u64, u128)>,
}

/// The accounts of prunes in events and leaves.
#[derive(Default)]
pub(super) struct Prunes {
    events: HashMap<Uuid, Prune>,
    claimed: HashMap<Uuid, Claimed>,
}

/// A number for an id that nobody can choose.
fn number(id: &[u8]) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(id)[..16]);
    u128::from_be_bytes(first)
}

impl Prunes {
    /// Notes an event `audit.pruned`.
    pub(super) fn event(&mut self, event: &TrailEvent) {
        let text = |name: &str| event.data.get(name).and_then(Json::as_str).map(str::to_owned);
        let prune = Prune {
            actor: event.actor.clone(),
            created_at: event.created_at,
            account: text("account"),
            rows: event.data.get("rows").and_then(Json::as_u64),
            end: text("to").and_then(|end| end.parse().ok()).filter(|end| *end <= event.created_at),
        };
        self.events.insert(event.id, prune);
    }

    /// Notes a leaf whose row is said to be pruned.
    pub(super) fn row(&mut self, by: Uuid, batch: Uuid, id: Uuid, first: Option<Timestamp>) {
        let claimed = self.claimed.entry(by).or_default();
        claimed.rows += 1;
        claimed.last = claimed.last.max(Some((first.unwrap_or(Timestamp::INFINITY), batch)));
        let (rows, sum) = claimed.batches.entry(batch).or_default();
        *rows += 1;
        *sum = sum.wrapping_add(number(id.as_bytes()));
    }

    /// Compares leaves, accounts and events.
    pub(super) async fn end(mut self, files: &Files<'_>, findings: &mut Findings<'_>) -> Result<(), Failure> {
        let mut accounts: HashMap<Uuid, Account> = HashMap::new();
        for file in files.of(Content::Pruned) {
            let (accounts, claimed) = (&mut accounts, &mut self.claimed);
            let read = |reader: &crate::lake::read::Reader| {
                reader.each(|chunk| {
                    for row in 0..chunk.rows {
                        let uuid = |column| chunk.text(column, row).and_then(|text| Uuid::try_parse(text).ok());
                        let rows = chunk.int(2, row).and_then(|rows| i32::try_from(rows).ok());
                        let (Some(event), Some(batch), Some(rows)) = (uuid(0), uuid(1), rows) else {
                            return Err(ParquetError::General("a row is no account".into()));
                        };
                        let ids = chunk.bytes(3, row);
                        let mut hashed = Vec::new();
                        push_field(&mut hashed, Some(batch.as_bytes()));
                        push_field(&mut hashed, Some(&rows.to_be_bytes()));
                        push_field(&mut hashed, ids);
                        let account = accounts.entry(event).or_default();
                        account.rows += u64::from(rows.unsigned_abs());
                        account.hash.update(&hashed);
                        let of_event = claimed.get_mut(&event);
                        if let Some((gone, sum)) = of_event.and_then(|claimed| claimed.batches.get_mut(&batch)) {
                            let all = ids.map(|ids| {
                                ids.as_chunks::<16>().0.iter().fold(0_u128, |sum, id| sum.wrapping_add(number(id)))
                            });
                            // Without ids, all rows of the batch went.
                            if *gone == u64::from(rows.unsigned_abs()) && all.is_none_or(|all| all == *sum) {
                                (*gone, *sum) = (0, 0);
                            }
                        }
                    }
                    Ok(())
                })
            };
            files.read(file, PRUNED, findings, read).await?;
        }
        for (id, claimed) in self.claimed {
            let finding = |kind, text: String| Finding::new(kind, None, Some(id), text);
            let Some(event) = self.events.get(&id) else {
                let text = format!(
                    "{} rows are said to have been pruned by it, and the event is not in the lake; run audit-trail checkpoint and lake sync",
                    claimed.rows
                );
                findings.found(finding(FindingKind::NotPruned, text));
                continue;
            };
            let account = accounts.remove(&id).unwrap_or_default();
            let is_account = event.account.as_deref() == Some(&hex::encode(account.hash.finalize()))
                && event.rows == Some(account.rows)
                && claimed.batches.values().all(|(gone, _)| *gone == 0);
            let end = event.end.filter(|_| is_account);
            let is_old = end.is_some_and(|end| claimed.last.is_none_or(|(first, _)| first < end));
            match end {
                Some(end) if is_old => {
                    let text = format!(
                        "{} rows before {end} by {} at {}, which the lake never had",
                        claimed.rows, event.actor, event.created_at
                    );
                    findings.found(finding(FindingKind::Pruned, text));
                }
                Some(_) => {
                    let batch = claimed.last.map(|(_, batch)| batch).unwrap_or_default();
                    let text = format!(
                        "it says that rows of batch {batch} were pruned, which are younger than what it pruned"
                    );
                    findings.found(finding(FindingKind::NotPruned, text));
                }
                None => {
                    let text = "the rows that are said to have been pruned by it are not those of its account".into();
                    findings.found(finding(FindingKind::NotPruned, text));
                }
            }
        }
        Ok(())
    }
}
