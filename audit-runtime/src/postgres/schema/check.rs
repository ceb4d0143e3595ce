//! The ground of the audit trail: the server's version, triggers that keep rows as they are, keys
//! that keep them unique.
//!
//! A database that was restored in part may have all of its rows and none of these. Nothing here
//! takes more rights than to connect.

#[cfg(feature = "personal")]
use super::amendments::REWRAPS;
use super::amendments::{FEEDS, HOLDS, NEEDED_BY_WRITERS, VERSION, version};
use super::online::{self, Choice};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Executor, Row};
use std::fmt::{self, Write};

/// The oldest PostgreSQL that the suites run on.
const OLDEST: u32 = 14;
/// The newest one.
pub(super) const NEWEST: u32 = 18;

/// The unique keys: a table and the columns of its key, which may stand in any order. The first is the primary key.
const KEYS: [(&str, &str); 19] = [
    ("audit_events", "created_at, id"),
    ("audit_batches", "id"),
    ("audit_batches", "journal_id, first_position"),
    ("audit_quarantine", "id"),
    ("audit_late", "event_id, created_at"),
    ("audit_tree", "number"),
    ("audit_tree", "batch_id"),
    ("audit_checkpoints", "id"),
    ("audit_pruned", "batch_id, event_id"),
    ("audit_keys", "id"),
    ("audit_keys", "subject"),
    ("audit_journals", "journal_id"),
    ("audit_tenants", "role"),
    ("audit_catalogue", "service, version, digest"),
    ("audit_retried", "event_id"),
    ("audit_feeds", "name"),
    ("audit_set_aside", "feed, event_id"),
    ("audit_timestamps", "checkpoint_id, authority"),
    ("audit_holds", "id"),
];

/// A batch is stored exactly once because of these.
const KEYS_OF_BATCHES: &str = "audit_batches";

/// The triggers: a table, a name, when it fires, and what it calls.
pub(super) const TRIGGERS: [(&str, &str, &str, &str); 27] = [
    ("audit_events", "audit_events_append_only", CHANGE, REFUSE),
    ("audit_events", NO_TRUNCATE, TRUNCATE, REFUSE),
    ("audit_batches", "audit_batches_append_only", CHANGE, REFUSE),
    ("audit_batches", "audit_batches_no_truncate", TRUNCATE, REFUSE),
    ("audit_batches", "audit_batches_of_role", "BEFORE INSERT ON {} FOR EACH ROW", "audit_check_batch()"),
    ("audit_late", "audit_late_append_only", CHANGE, REFUSE),
    ("audit_late", "audit_late_no_truncate", TRUNCATE, REFUSE),
    ("audit_tree", "audit_tree_append_only", CHANGE, REFUSE),
    ("audit_tree", "audit_tree_no_truncate", TRUNCATE, REFUSE),
    ("audit_late", "audit_late_seen_whole", ARRIVAL, "audit_check_late()"),
    ("audit_tree", "audit_tree_of_known_form", ARRIVAL, "audit_check_tree()"),
    ("audit_checkpoints", "audit_checkpoints_append_only", CHANGE, REFUSE),
    ("audit_checkpoints", "audit_checkpoints_no_truncate", TRUNCATE, REFUSE),
    ("audit_pruned", "audit_pruned_append_only", CHANGE, REFUSE),
    ("audit_pruned", "audit_pruned_no_truncate", TRUNCATE, REFUSE),
    ("audit_keys", "audit_keys_destroy_only", "BEFORE UPDATE ON {} FOR EACH ROW", "audit_destroy_only()"),
    ("audit_keys", "audit_keys_append_only", "BEFORE DELETE ON {} FOR EACH ROW", REFUSE),
    ("audit_keys", "audit_keys_no_truncate", TRUNCATE, REFUSE),
    ("audit_catalogue", "audit_catalogue_append_only", CHANGE, REFUSE),
    ("audit_catalogue", "audit_catalogue_no_truncate", TRUNCATE, REFUSE),
    ("audit_quarantine", "audit_quarantine_retried", "AFTER DELETE ON {} FOR EACH ROW", "audit_note_retried()"),
    ("audit_timestamps", "audit_timestamps_append_only", CHANGE, REFUSE),
    ("audit_timestamps", "audit_timestamps_no_truncate", TRUNCATE, REFUSE),
    ("audit_pruned", HEEDS_HOLDS, "BEFORE INSERT ON {} FOR EACH STATEMENT", "audit_check_pruned()"),
    ("audit_holds", "audit_holds_lift_once", "BEFORE UPDATE ON {} FOR EACH ROW", "audit_lift_only()"),
    ("audit_holds", "audit_holds_append_only", "BEFORE DELETE ON {} FOR EACH ROW", REFUSE),
    ("audit_holds", "audit_holds_no_truncate", TRUNCATE, REFUSE),
];

const CHANGE: &str = "BEFORE UPDATE OR DELETE ON {} FOR EACH ROW";
const ARRIVAL: &str = "AFTER INSERT ON {} REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT";
const TRUNCATE: &str = "BEFORE TRUNCATE ON {} FOR EACH STATEMENT";
const REFUSE: &str = "audit_refuse_change()";
/// Partitions have this of their own, and inherit the others.
const NO_TRUNCATE: &str = "audit_events_no_truncate";
/// The trigger of an older table that version 9 adds.
const HEEDS_HOLDS: &str = "audit_pruned_heeds_holds";

/// A part of the schema that a database lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    Key {
        table: String,
        columns: String,
    },
    Trigger {
        table: String,
        name: String,
    },
    /// It is there, and does not fire.
    Disabled {
        table: String,
        name: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { table, columns } => write!(f, "table {table} lacks its unique key ({columns})"),
            Self::Trigger { table, name } => write!(f, "table {table} lacks its trigger {name}"),
            Self::Disabled { table, name } => write!(f, "trigger {name} of table {table} is disabled"),
        }
    }
}

impl Missing {
    fn table(&self) -> &str {
        match self {
            Self::Key { table, .. } | Self::Trigger { table, .. } | Self::Disabled { table, .. } => table,
        }
    }

    /// Returns whether no batch can be stored exactly once without it.
    pub(crate) fn is_key_of_batches(&self) -> bool {
        matches!(self, Self::Key { table, .. } if table == KEYS_OF_BATCHES)
    }

    /// Returns whether it is a trigger that an amendment beyond this version makes.
    pub(super) fn comes_after(&self, version: i32) -> bool {
        let Self::Trigger { name, .. } = self else { return false };
        match name.as_str() {
            "audit_batches_of_role" | "audit_late_seen_whole" | "audit_tree_of_known_form" => version < 6,
            HEEDS_HOLDS => version < HOLDS,
            "audit_quarantine_retried" => version < FEEDS,
            _ => false,
        }
    }

    /// Returns the statement that makes it anew.
    pub(super) fn remedy(&self, schema: &str) -> String {
        match self {
            Self::Key { table, columns } => {
                let is_first = KEYS.iter().find(|(of, _)| of == table).is_some_and(|(_, first)| first == columns);
                let kind = if is_first { "PRIMARY KEY" } else { "UNIQUE" };
                format!("ALTER TABLE {schema}.{table} ADD {kind} ({columns})")
            }
            Self::Trigger { table, name } => {
                let known = TRIGGERS.iter().find(|(_, known, ..)| known == name);
                let (event, function) = known.map_or((TRUNCATE, REFUSE), |(_, _, event, function)| (event, function));
                let event = event.replace("{}", &format!("{schema}.{table}"));
                format!("CREATE TRIGGER {name} {event} EXECUTE FUNCTION {schema}.{function}")
            }
            Self::Disabled { table, name } => format!("ALTER TABLE {schema}.{table} ENABLE TRIGGER {name}"),
        }
    }
}

/// Refuses a server that is too old.
///
/// # Errors
/// Its version is known, and lower than 14.
pub(crate) fn supported(version_num: Option<u32>) -> Result<(), TooOld> {
    match version_num {
        Some(version) if version / 10_000 < OLDEST => Err(TooOld(version / 10_000)),
        _ => Ok(()),
    }
}

/// A server that is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "PostgreSQL {0} is too old: the audit trail needs PostgreSQL {OLDEST} or newer; upgrade the server, or name another"
)]
pub(crate) struct TooOld(u32);

impl From<TooOld> for sqlx::Error {
    fn from(error: TooOld) -> Self {
        Self::AnyDriverError(error.into())
    }
}

/// Returns what the tables lack of those that exist.
pub(crate) async fn missing(connection: &mut PgConnection) -> Result<Vec<Missing>, sqlx::Error> {
    let mut keys = String::new();
    for (table, columns) in KEYS {
        let _ = write!(keys, "{}('{table}', '{columns}')", if keys.is_empty() { "" } else { ", " });
    }
    let mut triggers = String::new();
    for (table, name, ..) in TRIGGERS {
        let _ = write!(triggers, "{}('{table}', '{name}')", if triggers.is_empty() { "" } else { ", " });
    }
    // A simple query: a pooler in transaction mode may answer each message from another connection.
    let sql = format!(
        "SELECT 'key', t, c FROM (VALUES {keys}) AS k (t, c) WHERE to_regclass(t) IS NOT NULL AND NOT EXISTS \
         (SELECT FROM pg_index i WHERE i.indrelid = to_regclass(t) AND i.indisunique AND i.indisvalid AND i.indimmediate \
         AND i.indpred IS NULL AND i.indexprs IS NULL AND (SELECT array_agg(k ORDER BY k) FROM unnest(string_to_array(c, ', ')) AS k) = (SELECT array_agg(a.attname::text ORDER BY a.attname::text) \
         FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (attnum, n) JOIN pg_attribute a ON a.attrelid = i.indrelid \
         AND a.attnum = u.attnum WHERE n <= i.indnkeyatts)) \
         UNION ALL \
         SELECT CASE WHEN g.oid IS NULL THEN 'trigger' ELSE 'disabled' END, c.relname, w.name FROM ( \
         SELECT to_regclass(t)::oid, name FROM (VALUES {triggers}) AS k (t, name) UNION ALL \
         SELECT inhrelid, name FROM pg_inherits, (VALUES ('{NO_TRUNCATE}'), ('audit_events_append_only')) AS k (name) \
         WHERE inhparent = to_regclass('audit_events')) AS w (relid, name) JOIN pg_class c ON c.oid = w.relid \
         LEFT JOIN pg_trigger g ON g.tgrelid = w.relid AND g.tgname = w.name \
         WHERE g.oid IS NULL OR g.tgenabled NOT IN ('O', 'A')"
    );
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    let lacking = |row: &sqlx::postgres::PgRow| {
        let (kind, table, name): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(match &*kind {
            "key" => Missing::Key { table, columns: name },
            "trigger" => Missing::Trigger { table, name },
            _ => Missing::Disabled { table, name },
        })
    };
    let mut missing = rows.iter().map(lacking).collect::<Result<Vec<_>, sqlx::Error>>()?;
    // Partitions get a trigger of the table's with it: the table comes first.
    missing.sort_by(|one, other| one.table().cmp(other.table()));
    Ok(missing)
}

/// Returns what the schema lacks, a sentence for each. Every role may ask.
pub(crate) async fn schema_problems(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let missing = missing(&mut connection).await?;
    let mut problems = problems(&mut connection, &missing).await?;
    let steps = online::pending(&mut connection, Choice::default()).await?;
    if let Some(next) = steps.first() {
        problems.push(format!("{} of its indexes are pending, next {}", steps.len(), next.about));
    }
    Ok(problems)
}

/// Returns a sentence for each part that is missing, and one for a version that is too low.
pub(crate) async fn problems(connection: &mut PgConnection, missing: &[Missing]) -> Result<Vec<String>, sqlx::Error> {
    problems_below(VERSION, connection, missing).await
}

/// Returns the same of what the writer needs.
pub(crate) async fn problems_of_writers(
    connection: &mut PgConnection,
    missing: &[Missing],
) -> Result<Vec<String>, sqlx::Error> {
    problems_below(NEEDED_BY_WRITERS, connection, missing).await
}

/// Refuses a schema in which keys can be destroyed only.
///
/// # Errors
/// The schema is older than version 8, or the database cannot be reached.
#[cfg(feature = "personal")]
pub(crate) async fn rewraps(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    match version(&mut connection).await? {
        REWRAPS.. => Ok(()),
        found => {
            let text = format!(
                "the audit schema has version {found}, and keys are wrapped by another master key from version {REWRAPS} on; run audit-trail migrate"
            );
            Err(sqlx::Error::Configuration(text.into()))
        }
    }
}

async fn problems_below(
    needed: i32,
    connection: &mut PgConnection,
    missing: &[Missing],
) -> Result<Vec<String>, sqlx::Error> {
    let found = version(connection).await?;
    // Versions 9 and 11 add triggers that no writer needs.
    let is_due = |missing: &&Missing| found < NEEDED_BY_WRITERS || !missing.comes_after(found);
    let mut problems: Vec<String> = missing.iter().filter(is_due).map(ToString::to_string).collect();
    if found < needed {
        problems.push(format!("its version is {found}, and this program works with {VERSION}"));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_named_with_the_remedy() {
        assert_eq!([Some(140_000), Some(180_004), None].map(supported), [Ok(()); 3]);
        let error = supported(Some(130_023)).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 13 is too old") && error.contains("14 or newer"), "{error}");
    }
}
