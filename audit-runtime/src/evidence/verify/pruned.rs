//! Accounts of pruned rows: each is confirmed by an event, which is sealed like any other.

use super::finding::{Finding, FindingKind};
use super::rows::Prunes;
use crate::event::Timestamp;
use crate::event::reserved::PRUNED;
use crate::evidence::error::Failure;
use crate::postgres::copy::decode;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// The event of a prune.
#[derive(Debug, sqlx::FromRow)]
struct PruneEvent {
    id: Uuid,
    actor: String,
    created_at: Timestamp,
    rows: Option<String>,
    account: Option<String>,
    begin: Option<String>,
    end: Option<String>,
    archive: Option<String>,
}

impl PruneEvent {
    /// The end of the month, which was over when it was pruned.
    fn end(&self) -> Option<Timestamp> {
        let end = self.end.as_deref()?.parse::<Timestamp>().ok()?;
        (end <= self.created_at).then_some(end)
    }
}

/// The rows of `audit_pruned` that belong to it.
#[derive(Default)]
struct Account {
    rows: u64,
    hash: Sha256,
    /// The batch that begins last, and the time of its first event according to the tree, or none
    /// if a batch is gone.
    last: Option<(i64, Uuid)>,
}

/// Returns the prunes whose rows need not exist, and reports each.
pub(super) async fn verify(connection: &mut PgConnection, mut found: impl FnMut(Finding)) -> Result<Prunes, Failure> {
    let events: Vec<PruneEvent> = sqlx::query_as(
        "SELECT id, actor, created_at, data ->> 'rows' AS rows, data ->> 'account' AS account, \
         data ->> 'from' AS begin, data ->> 'to' AS end, data #>> '{archive,sha256}' AS archive \
         FROM audit_events WHERE event_type = $1 ORDER BY created_at, id",
    )
    .bind(PRUNED)
    .fetch_all(&mut *connection)
    .await?;
    let mut accounts: HashMap<Uuid, Account> = HashMap::new();
    let query = "SELECT p.event_id, b.first_event_at, p.batch_id, p.rows, p.ids FROM audit_pruned p \
         LEFT JOIN audit_batches b ON b.id = p.batch_id ORDER BY p.event_id, p.batch_id";
    decode::rows(connection, query, |row| {
        let mut fields = row.fields();
        let account = accounts.entry(fields.uuid()?).or_default();
        let first = fields.next()?.and_then(|bytes| bytes.try_into().ok()).map_or(i64::MAX, i64::from_be_bytes);
        let row = fields.rest();
        let mut fields = row.fields();
        account.hash.update(row.0);
        account.last = account.last.max(Some((first, fields.uuid()?)));
        account.rows += u64::try_from(fields.i32()?).unwrap_or(0);
        Ok::<_, Failure>(())
    })
    .await?;
    let mut prunes = Prunes::default();
    for event in events {
        let account = accounts.remove(&event.id).unwrap_or_default();
        let finding = |kind, text| Finding::event(kind, None, event.id, text);
        if event.account.is_none() && account.rows == 0 {
            // An event of that name by another program.
            continue;
        }
        let is_account = event.account.as_deref() == Some(&hex::encode(account.hash.finalize()))
            && event.rows.as_deref() == Some(&account.rows.to_string());
        let Some(end) = event.end().filter(|_| is_account) else {
            found(finding(FindingKind::NotPruned, "what audit_pruned holds for it is not what it says".into()));
            continue;
        };
        let younger = account.last.filter(|(first, _)| *first >= end.postgres());
        if let Some((_, batch)) = younger {
            let text = format!("it says that rows of batch {batch} were pruned, which are younger than what it pruned");
            found(finding(FindingKind::NotPruned, text));
        } else {
            let archive = event.archive.map_or_else(String::new, |hash| format!(", archived, SHA-256 {hash}"));
            let text = format!(
                "{} rows of {} to {}, by {} at {}{archive}",
                account.rows,
                event.begin.unwrap_or_default(),
                end,
                event.actor,
                event.created_at,
            );
            found(finding(FindingKind::Pruned, text));
            prunes.insert(event.id);
        }
    }
    for (id, account) in accounts {
        let text = format!("audit_pruned contains {} rows of it, and its event is missing", account.rows);
        found(Finding::event(FindingKind::NotPruned, None, id, text));
    }
    Ok(prunes)
}
