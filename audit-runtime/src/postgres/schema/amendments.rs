//! The versions of the schema behind its migrations.

use sqlx::postgres::PgConnection;
use sqlx::{Executor, Row};

/// A version after those in `_audit_migrations`.
pub(super) struct Amendment {
    pub(super) version: i32,
    pub(super) about: &'static str,
    /// Statements that may run again, with `{schema}` and `{in_text}` for the schema of
    /// `audit_events`.
    pub(super) sql: &'static str,
}

pub(super) const AMENDMENTS: [Amendment; 7] = [
    Amendment { version: 5, about: "a journal belongs to a role", sql: include_str!("amendments/0005_roles.sql") },
    Amendment {
        version: 6,
        about: "keys, targets, tenants, and the order of arrival",
        sql: concat!(
            include_str!("amendments/bucket.sql"),
            include_str!("amendments/0006_columns.sql"),
            include_str!("amendments/forget.sql"),
            include_str!("amendments/guard.sql")
        ),
    },
    Amendment {
        version: 7,
        about: "the catalogue of audited functions",
        sql: include_str!("amendments/0007_catalogue.sql"),
    },
    Amendment {
        version: REWRAPS,
        about: "keys that another master key may wrap",
        sql: include_str!("amendments/0008_keys.sql"),
    },
    Amendment {
        version: HOLDS,
        about: "holds, and rows that are pruned one by one",
        sql: include_str!("amendments/0009_holds.sql"),
    },
    Amendment { version: 10, about: "time stamps of checkpoints", sql: include_str!("amendments/0010_timestamps.sql") },
    Amendment {
        version: FEEDS,
        about: "feeds, and the order of arrival across restores",
        sql: include_str!("amendments/0011_feeds.sql"),
    },
];

/// The function that indexes of times use, for tables that are not migrated yet.
pub(super) const BUCKET: &str = include_str!("amendments/bucket.sql");

/// The view that stops older programs which would move rows without their new columns.
pub(super) const GUARD: &str = include_str!("amendments/guard.sql");

/// The lowest version that the writer needs. Without a later one, it stores all events.
pub(super) const NEEDED_BY_WRITERS: i32 = 6;

/// The version from which the keys of subjects may be wrapped anew.
pub(super) const REWRAPS: i32 = 8;

/// The version from which feeds follow the trail.
pub(super) const FEEDS: i32 = 11;

/// The version from which holds are remembered.
pub(super) const HOLDS: i32 = 9;

/// The version that this program works with.
pub(super) const VERSION: i32 = AMENDMENTS[AMENDMENTS.len() - 1].version;

/// Returns statements for a schema, whose quoted name this is.
pub(super) fn in_schema(sql: &str, schema: &str) -> String {
    sql.replace("{schema}", schema).replace("{in_text}", &schema.replace('\'', "''"))
}

/// Returns the version of the schema, or zero where no amendment was applied.
pub(super) async fn version(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    // A simple query: a pooler in transaction mode may answer each message from another connection.
    let sql = "SELECT substring(obj_description(to_regclass('audit_events'), 'pg_class') FROM 'schema version ([0-9]{1,6})')::int";
    let row = connection.fetch_one(sqlx::raw_sql(sql)).await?;
    Ok(row.try_get::<Option<i32>, _>(0)?.unwrap_or(0))
}
