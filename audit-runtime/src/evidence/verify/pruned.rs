//! Accounts of pruned rows: each is confirmed by an event, which is sealed like any other.

use super::finding::{Finding, FindingKind};
use super::rows::Prunes;
use crate::event::Timestamp;
use crate::event::reserved::{PRUNED, REIMPORTED};
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
    filter: Option<serde_json::Value>,
}

/// An event of rows that came back.
#[derive(Debug, sqlx::FromRow)]
struct ReimportEvent {
    id: Uuid,
    actor: String,
    created_at: Timestamp,
    rows: Option<String>,
    archive: Option<String>,
    contradicts: Option<serde_json::Value>,
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
    /// The batch that ends last of those whose rows are all gone, and the time of its last event.
    last_whole: Option<(i64, Uuid)>,
    /// The batch that ends first, and the time of its last event.
    first: Option<(i64, Uuid)>,
}

/// Returns the prunes whose rows need not exist, and reports each.
pub(super) async fn verify(connection: &mut PgConnection, mut found: impl FnMut(Finding)) -> Result<Prunes, Failure> {
    let events: Vec<PruneEvent> = sqlx::query_as(
        "SELECT id, actor, created_at, data ->> 'rows' AS rows, data ->> 'account' AS account, \
         data ->> 'from' AS begin, data ->> 'to' AS end, data #>> '{archive,sha256}' AS archive, data -> 'filter' AS filter \
         FROM audit_events WHERE event_type = $1 ORDER BY created_at, id",
    )
    .bind(PRUNED)
    .fetch_all(&mut *connection)
    .await?;
    let mut accounts: HashMap<Uuid, Account> = HashMap::new();
    let query = "SELECT p.event_id, b.first_event_at, b.last_event_at, p.batch_id, p.rows, p.ids FROM audit_pruned p \
         LEFT JOIN audit_batches b ON b.id = p.batch_id ORDER BY p.event_id, p.batch_id";
    decode::rows(connection, query, |row| {
        let mut fields = row.fields();
        let account = accounts.entry(fields.uuid()?).or_default();
        let first = fields.next()?.and_then(|bytes| bytes.try_into().ok()).map_or(i64::MAX, i64::from_be_bytes);
        let last = fields.next()?.and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes);
        let row = fields.rest();
        let mut fields = row.fields();
        account.hash.update(row.0);
        let batch = fields.uuid()?;
        account.last = account.last.max(Some((first, batch)));
        account.rows += u64::try_from(fields.i32()?).unwrap_or(0);
        if let Some(last) = last {
            account.first = Some(account.first.map_or((last, batch), |first| first.min((last, batch))));
            if fields.next()?.is_none() {
                account.last_whole = account.last_whole.max(Some((last, batch)));
            }
        }
        Ok::<_, Failure>(())
    })
    .await?;
    let contradicted = reimports(connection, &mut found).await?;
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
        let begin = event.begin.as_deref().and_then(|begin| begin.parse::<Timestamp>().ok());
        let is_younger = |(time, _): &(i64, Uuid)| *time >= end.postgres();
        let is_older = |(time, _): &(i64, Uuid)| begin.is_some_and(|begin| *time < begin.postgres());
        let younger = account.last.filter(is_younger).or(account.last_whole.filter(is_younger));
        if let Some((_, batch)) = younger {
            let text = format!("it says that rows of batch {batch} were pruned, which are younger than what it pruned");
            found(finding(FindingKind::NotPruned, text));
        } else if let Some((_, batch)) = account.first.filter(is_older) {
            let text = format!("it says that rows of batch {batch} were pruned, which are older than what it pruned");
            found(finding(FindingKind::NotPruned, text));
        } else if let Some(other) = contradicted.get(&event.id) {
            let text =
                format!("rows that came back are none of those that it says were pruned, as event {other} states");
            found(finding(FindingKind::NotPruned, text));
            // Its account is true.
            prunes.insert(event.id, end);
        } else {
            let archive = event.archive.map_or_else(String::new, |hash| format!(", archived, SHA-256 {hash}"));
            let filter = event.filter.as_ref().map_or_else(String::new, described);
            let text = format!(
                "{} rows of {} to {}{filter}, by {} at {}{archive}",
                account.rows,
                event.begin.unwrap_or_default(),
                end,
                event.actor,
                event.created_at,
            );
            found(finding(FindingKind::Pruned, text));
            prunes.insert(event.id, end);
        }
    }
    for (id, account) in accounts {
        let text = format!("audit_pruned contains {} rows of it, and its event is missing", account.rows);
        found(Finding::event(FindingKind::NotPruned, None, id, text));
    }
    Ok(prunes)
}

/// Reports the rows that came back, and returns the prunes whose events they contradict, each with the
/// event that states so.
async fn reimports(
    connection: &mut PgConnection,
    found: &mut impl FnMut(Finding),
) -> Result<HashMap<Uuid, Uuid>, Failure> {
    let events: Vec<ReimportEvent> = sqlx::query_as(
        "SELECT id, actor, created_at, data ->> 'rows' AS rows, data #>> '{archive,sha256}' AS archive, \
         data -> 'contradicts' AS contradicts FROM audit_events WHERE event_type = $1 ORDER BY created_at, id",
    )
    .bind(REIMPORTED)
    .fetch_all(connection)
    .await?;
    let mut contradicted = HashMap::new();
    for event in events {
        // An event of that name by another program has no archive.
        let Some(archive) = event.archive else { continue };
        let ids = event.contradicts.as_ref().and_then(serde_json::Value::as_array).into_iter().flatten();
        contradicted.extend(ids.filter_map(|id| Some((id.as_str()?.parse().ok()?, event.id))));
        let (rows, actor, at) = (event.rows.unwrap_or_default(), event.actor, event.created_at);
        let text = format!("{rows} pruned rows came back, by {actor} at {at}, from an archive, SHA-256 {archive}");
        found(Finding::event(FindingKind::Reimported, None, event.id, text));
    }
    Ok(contradicted)
}

/// Returns a filter in words, as the event of a prune states it.
fn described(filter: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let events: Vec<String> = filter["events"].as_array().into_iter().flatten().filter_map(text).collect();
    let entity = &filter["entity"];
    let key = text(&entity["key"]).or_else(|| text(&entity["id"]));
    let parts = [
        (!events.is_empty()).then(|| format!("events {}", events.join(" or "))),
        text(&filter["tenant"]).map(|tenant| format!("tenant {tenant}")),
        text(&filter["entity_type"]).map(|kind| format!("entities of type {kind}")),
        text(&entity["type"]).zip(key).map(|(kind, key)| format!("entity {kind}:{key}")),
        text(&filter["actor"]).map(|actor| format!("actor {actor}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}
