//! Rows that were pruned before the lake got their batch: each is in an account that an event confirms.

use super::Findings;
use super::files::Files;
use crate::failure::Failure;
use crate::lake::batch::Batch;
use crate::lake::manifest::Content;
use crate::lake::table::PRUNED;
use audit_runtime::__private::detached::{self, push_field};
use audit_runtime::evidence::{Finding, FindingKind};
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Json, Timestamp};
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The event of a prune.
struct Prune {
    actor: String,
    created_at: Timestamp,
    account: Option<String>,
    rows: Option<u64>,
    begin: Option<Timestamp>,
    end: Option<Timestamp>,
    /// The lake with which its rows were compared.
    lake: Option<Uuid>,
}

/// The rows of `audit_pruned` of an event.
#[derive(Default)]
struct Account {
    rows: u64,
    hash: Sha256,
}

/// The leaves of a batch that are said to be of rows that a prune removed.
struct Claimed {
    rows: usize,
    /// All of the batch.
    of: usize,
    /// Their ids, unless the whole batch went.
    ids: Vec<[u8; 16]>,
    first: Timestamp,
    last: Option<Timestamp>,
    /// When the youngest row began, in microseconds since 1970.
    youngest: Option<i64>,
    is_accounted: bool,
}

/// The accounts of prunes in events and leaves. It has the ids of the rows that are gone from batches of
/// which others stay.
#[derive(Default)]
pub(super) struct Prunes {
    lake: Uuid,
    events: HashMap<Uuid, Prune>,
    claimed: HashMap<Uuid, HashMap<Uuid, Claimed>>,
}

impl Prunes {
    /// Sets the lake that is verified.
    pub(super) fn of_lake(&mut self, lake: Uuid) {
        self.lake = lake;
    }

    /// Notes an event `audit.pruned`.
    pub(super) fn event(&mut self, event: &TrailEvent) {
        let text = |name: &str| event.data.get(name).and_then(Json::as_str).map(str::to_owned);
        let prune = Prune {
            actor: event.actor.clone(),
            created_at: event.created_at,
            account: text("account"),
            rows: event.data.get("rows").and_then(Json::as_u64),
            begin: text("from").and_then(|begin| begin.parse().ok()),
            end: text("to").and_then(|end| end.parse().ok()).filter(|end| *end <= event.created_at),
            lake: event.data.get("archive").and_then(|archive| archive.get("lake_id")?.as_str()?.parse().ok()),
        };
        self.events.insert(event.id, prune);
    }

    /// Notes a leaf whose row is said to be pruned.
    pub(super) fn row(&mut self, by: Uuid, batch: &Batch, id: Uuid) {
        let claimed = self.claimed.entry(by).or_default().entry(batch.id).or_insert_with(|| Claimed {
            rows: 0,
            of: batch.rows,
            ids: Vec::new(),
            first: batch.first_event_at.unwrap_or(Timestamp::INFINITY),
            last: batch.last_event_at,
            youngest: None,
            is_accounted: false,
        });
        claimed.rows += 1;
        claimed.ids.push(id.into_bytes());
        // The id of a row that came with a batch states when it began.
        if batch.journal_id != detached::JOURNAL {
            claimed.youngest = claimed.youngest.max(detached::began_at(id));
        }
        if claimed.rows == claimed.of {
            claimed.ids = Vec::new();
        }
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
                        if let Some(claimed) = claimed.get_mut(&event).and_then(|claimed| claimed.get_mut(&batch)) {
                            claimed.is_accounted = ids.is_none_or(|ids| claimed.is_among(ids.as_chunks::<16>().0));
                        }
                    }
                    Ok(())
                })
            };
            files.read(file, PRUNED, findings, read).await?;
        }
        for (id, claimed) in self.claimed {
            let account = accounts.remove(&id).unwrap_or_default();
            let rows: usize = claimed.values().map(|claimed| claimed.rows).sum();
            let (kind, text) = match self.events.get(&id) {
                None => (
                    FindingKind::NotPruned,
                    format!(
                        "{rows} rows are said to have been pruned by it, and the event is not in the lake; run audit-trail checkpoint and lake sync"
                    ),
                ),
                Some(event) => match refused(event, &claimed, account, self.lake) {
                    Some((kind, text)) => (kind, text),
                    None => {
                        let Prune { actor, created_at, end, .. } = event;
                        let end = end.map_or_else(String::new, |end| format!(" before {end}"));
                        let text = format!("{rows} rows{end} by {actor} at {created_at}, which the lake never had");
                        (FindingKind::Pruned, text)
                    }
                },
            };
            findings.found(Finding::new(kind, None, Some(id), text));
        }
        Ok(())
    }
}

impl Claimed {
    /// Whether all of its rows are among these.
    fn is_among(&self, ids: &[[u8; 16]]) -> bool {
        let known: HashSet<&[u8; 16]> = ids.iter().collect();
        if self.rows == self.of { known.len() == self.of } else { self.ids.iter().all(|id| known.contains(id)) }
    }
}

/// Returns why rows that are said to have been pruned are not those that an event accounts for.
fn refused(
    event: &Prune,
    claimed: &HashMap<Uuid, Claimed>,
    account: Account,
    lake: Uuid,
) -> Option<(FindingKind, String)> {
    let rows: usize = claimed.values().map(|claimed| claimed.rows).sum();
    if event.lake == Some(lake) {
        let text = format!("{rows} rows that it pruned because this lake had them are missing here");
        return Some((FindingKind::Missing, text));
    }
    let is_account = event.account.as_deref() == Some(&hex::encode(account.hash.finalize()))
        && event.rows == Some(account.rows)
        && claimed.values().all(|claimed| claimed.is_accounted);
    let not_pruned = |text: String| Some((FindingKind::NotPruned, text));
    let Some(end) = event.end.filter(|_| is_account) else {
        return not_pruned("the rows that are said to have been pruned by it are not those of its account".into());
    };
    let is_younger = |claimed: &Claimed| {
        claimed.first >= end
            || (claimed.rows == claimed.of && claimed.last.is_some_and(|last| last >= end))
            || end.unix_micros().zip(claimed.youngest).is_some_and(|(end, youngest)| youngest >= end)
    };
    let is_older = |claimed: &Claimed| event.begin.zip(claimed.last).is_some_and(|(begin, last)| last < begin);
    for (is_wrong, how) in [(&is_younger as &dyn Fn(&Claimed) -> bool, "younger"), (&is_older, "older")] {
        if let Some((batch, _)) = claimed.iter().find(|(_, claimed)| is_wrong(claimed)) {
            let text = format!("it says that rows of batch {batch} were pruned, which are {how} than what it pruned");
            return not_pruned(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    /// A prune of the time from 100 to 200, and an account of it.
    fn prune() -> (Prune, Account) {
        let hash = hex::encode(Sha256::default().finalize());
        let prune = Prune {
            actor: "ada".into(),
            created_at: at(300),
            account: Some(hash),
            rows: Some(3),
            begin: Some(at(100)),
            end: Some(at(200)),
            lake: None,
        };
        (prune, Account { rows: 3, hash: Sha256::default() })
    }

    /// Two rows of a batch of three, of the time from 120 to 150.
    fn claimed() -> Claimed {
        Claimed {
            rows: 2,
            of: 3,
            ids: vec![[1; 16], [2; 16]],
            first: at(120),
            last: Some(at(150)),
            youngest: Some(150_000_000),
            is_accounted: true,
        }
    }

    fn kind(change: impl FnOnce(&mut Prune, &mut Account, &mut Claimed)) -> Option<FindingKind> {
        let ((mut prune, mut account), mut claimed) = (prune(), claimed());
        change(&mut prune, &mut account, &mut claimed);
        let claimed = HashMap::from([(Uuid::nil(), claimed)]);
        refused(&prune, &claimed, account, Uuid::from_u128(5)).map(|(kind, _)| kind)
    }

    #[test]
    fn rows_that_a_prune_accounts_for_are_pruned_and_no_others() {
        assert_eq!(kind(|_, _, _| {}), None);
        let not_pruned = Some(FindingKind::NotPruned);
        assert_eq!(kind(|_, account, _| account.rows = 4), not_pruned);
        assert_eq!(kind(|_, account, _| account.hash.update("x")), not_pruned);
        assert_eq!(kind(|_, _, claimed| claimed.is_accounted = false), not_pruned);
        assert_eq!(kind(|prune, _, _| prune.end = None), not_pruned);
        assert_eq!(kind(|_, _, claimed| claimed.first = at(200)), not_pruned);
        // Others of the batch are younger than the prune, and stay.
        assert_eq!(kind(|_, _, claimed| claimed.last = Some(at(250))), None);
        assert_eq!(kind(|_, _, claimed| (claimed.last, claimed.rows) = (Some(at(250)), 3)), not_pruned);
        assert_eq!(kind(|_, _, claimed| claimed.youngest = Some(200_000_000)), not_pruned);
        assert_eq!(kind(|_, _, claimed| claimed.last = Some(at(99))), not_pruned);
        // The lake that is verified had them.
        assert_eq!(kind(|prune, _, _| prune.lake = Some(Uuid::from_u128(5))), Some(FindingKind::Missing));
        assert_eq!(kind(|prune, _, _| prune.lake = Some(Uuid::from_u128(6))), None);
    }

    #[test]
    fn an_account_may_have_more_rows_than_are_gone() {
        let mut claimed = claimed();
        assert!(claimed.is_among(&[[2; 16], [9; 16], [1; 16]]));
        assert!(!claimed.is_among(&[[2; 16], [9; 16]]));
        // Of a batch that is gone as a whole, the ids are not kept.
        (claimed.rows, claimed.ids) = (3, Vec::new());
        assert!(claimed.is_among(&[[2; 16], [9; 16], [1; 16]]));
        assert!(!claimed.is_among(&[[2; 16], [9; 16], [9; 16]]));
    }
}
