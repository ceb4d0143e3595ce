//! The schema on its way from one version to the next, with the command as its users run it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod command;
mod kills;
mod legacy;
mod load;
mod older;
mod restored;
mod tenants;

use sqlx::AssertSqlSafe;
use std::process::{Command, Output};
use tests::Database;
use tests::examples::audit_trail;

/// The command on this database.
fn command(database: &Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(audit_trail());
    command.args(arguments).env("DATABASE_URL", &database.url);
    command
}

/// The exit status, standard output and standard error.
fn run(database: &Database, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(database, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Every index of a table, without its name: the definition, whether it is valid, and whether it belongs to one of the parent.
async fn indexes(database: &Database, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT regexp_replace(pg_get_indexdef(x.indexrelid), '^.*? USING ', '') || ' ' || x.indisvalid || x.indisunique || x.indisprimary \
         || EXISTS (SELECT FROM pg_inherits WHERE inhrelid = x.indexrelid) FROM pg_index x WHERE x.indrelid = '{table}'::regclass ORDER BY 1"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&database.pool).await.unwrap()
}

/// Asserts that a database has the indexes of one that was never older, and nothing to do.
async fn is_as_new(database: &Database) {
    let new = Database::new().await;
    // A legacy table's rows leave the current month in the default partition.
    let months =
        "SELECT count(*) FROM pg_class WHERE relname = 'audit_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')";
    let month = format!("audit_events_{}", chrono::Utc::now().format("%Y_%m"));
    let month = (database.count(months).await == 1).then_some(month);
    for table in ["audit_events", "audit_events_default"].into_iter().chain(month.as_deref()) {
        assert_eq!(indexes(database, table).await, indexes(&new, table).await, "{table}");
    }
    assert_eq!(database.admin().schema_problems().await.unwrap(), Vec::<String>::new());
    assert_eq!(database.admin().pending_migration().await.unwrap(), []);
    let valid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(database.count(valid).await, 0);
}
