//! Keys that change: of checkpoints, of personal values. And keys that are lost, shared or garbage.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod chain;
mod cut;
mod exchange;
mod files;
mod loss;
mod poisoned;
mod rewrap;
#[allow(dead_code, reason = "the suite of the page uses all of it")]
#[path = "../page/server.rs"]
mod server;
mod stolen;

use audit_runtime::evidence::SigningKey;
use audit_runtime::{Event, audited};
use sqlx::{AssertSqlSafe, Executor};
use std::process::{Command, Output};
use std::time::Duration;
use tests::Database;
use tests::examples::audit_trail;

const NAME: &str = "audit.example.com/desk";
const LONG: Duration = Duration::from_secs(60);

#[audited(event = "customer.changed", id = none, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {}

fn key() -> SigningKey {
    SigningKey::generate(NAME).unwrap()
}

/// Stores events, in a journal of their own.
async fn record(database: &Database, events: usize) {
    let audit = database.audit().start().unwrap();
    for _ in 0..events {
        audit.record(Event::new("order.submitted")).unwrap();
    }
    assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
}

/// Executes statements that no trigger refuses.
async fn as_superuser(database: &Database, sql: &str) {
    let sql = format!("SET session_replication_role TO replica; {sql}; RESET session_replication_role");
    database.pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

/// The command on this database.
fn command(database: &Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(audit_trail());
    command.args(arguments).env("DATABASE_URL", &database.url).env("TZ", "UTC");
    for variable in ["AUDIT_MASTER_KEY", "AUDIT_CHECKPOINT_KEY", "AUDIT_CHECKPOINT_PUBLIC_KEY"] {
        command.env_remove(variable);
    }
    command
}

/// The exit code of a run of the command, and all that it printed.
fn run(database: &Database, arguments: &[&str]) -> (i32, String) {
    ended(&command(database, arguments).output().unwrap())
}

fn ended(output: &Output) -> (i32, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}
