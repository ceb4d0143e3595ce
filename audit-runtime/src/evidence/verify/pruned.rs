//! What is said to have been pruned is what an event says, and that event is sealed like any other.

use super::rows::Prunes;
use super::{Finding, FindingKind};
use crate::evidence::EvidenceError;
use crate::evidence::copy_out;
use crate::retention::PRUNED;
use crate::timestamp::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// What an event says of a prune.
#[derive(Debug, sqlx::FromRow)]
struct Told {
    id: Uuid,
    actor: String,
    created_at: Timestamp,
    rows: Option<String>,
    account: Option<String>,
    begin: Option<String>,
    end: Option<String>,
    archive: Option<String>,
}

impl Told {
    /// The end of the month, which was over when it was pruned.
    fn end(&self) -> Option<Timestamp> {
        let end = self.end.as_deref()?.parse::<Timestamp>().ok()?;
        (end <= self.created_at).then_some(end)
    }
}

/// What `audit_pruned` holds of it.
#[derive(Default)]
struct Account {
    rows: u64,
    hash: Sha256,
    /// The batch that begins last, and when its first event was, as it says in the tree; none, if a batch is gone.
    last: Option<(i64, Uuid)>,
}

/// Gives the prunes whose rows need not be there, and tells of each.
pub(super) async fn verify(
    connection: &mut PgConnection,
    mut found: impl FnMut(Finding),
) -> Result<Prunes, EvidenceError> {
    let told: Vec<Told> = sqlx::query_as(
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
    copy_out::rows(connection, query, |row| {
        let mut fields = row.fields();
        let account = accounts.entry(fields.uuid()?).or_default();
        let first = fields.next()?.and_then(|bytes| bytes.try_into().ok()).map_or(i64::MAX, i64::from_be_bytes);
        let row = fields.rest();
        let mut fields = row.fields();
        account.hash.update(row.0);
        account.last = account.last.max(Some((first, fields.uuid()?)));
        account.rows += u64::try_from(fields.i32()?).unwrap_or(0);
        Ok::<_, EvidenceError>(())
    })
    .await?;
    let mut prunes = Prunes::default();
    for told in told {
        let account = accounts.remove(&told.id).unwrap_or_default();
        let finding = |kind, text| Finding::event(kind, None, told.id, text);
        if told.account.is_none() && account.rows == 0 {
            // Somebody else's event of that name.
            continue;
        }
        let is_account = told.account.as_deref() == Some(&hex::encode(account.hash.finalize()))
            && told.rows.as_deref() == Some(&account.rows.to_string());
        let Some(end) = told.end().filter(|_| is_account) else {
            found(finding(FindingKind::NotPruned, "what audit_pruned holds for it is not what it says".into()));
            continue;
        };
        let younger = account.last.filter(|(first, _)| *first >= end.postgres());
        if let Some((_, batch)) = younger {
            let text = format!("it says that rows of batch {batch} were pruned, which are younger than what it pruned");
            found(finding(FindingKind::NotPruned, text));
        } else {
            let archive = told.archive.map_or_else(String::new, |hash| format!(", archived, SHA-256 {hash}"));
            let text = format!(
                "{} rows of {} to {}, by {} at {}{archive}",
                account.rows,
                told.begin.unwrap_or_default(),
                end,
                told.actor,
                told.created_at,
            );
            found(finding(FindingKind::Pruned, text));
            prunes.insert(told.id);
        }
    }
    for (id, account) in accounts {
        let text = format!("audit_pruned holds {} rows for it, and there is no such event", account.rows);
        found(Finding::event(FindingKind::NotPruned, None, id, text));
    }
    Ok(prunes)
}
