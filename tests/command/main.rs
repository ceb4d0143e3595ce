//! `audit-trail`, the real binary, in pipes and on terminals.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod authority;
mod catalogue;
mod evidence;
mod find;
mod follow;
mod forms;
mod help;
mod history;
mod journals;
mod keys;
mod layout;
mod messages;
mod outputs;
mod pipes;
mod policy;
mod silence;
mod status;
mod timestamps;

use std::process::{Command, Output};
use tests::Database;
use tests::examples::audit_trail;

/// The command on this database, in a place and a time zone of its own.
fn command(database: &Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(audit_trail());
    command
        .args(arguments)
        .env("DATABASE_URL", &database.url)
        .env("TZ", "UTC")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm");
    command
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn ran(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}

fn run(database: &Database, arguments: &[&str]) -> Ran {
    ran(command(database, arguments))
}

/// Lists events of the database at a URL, which is given as an argument and then in the
/// environment.
fn run_at(url: &str) -> [Ran; 2] {
    let events = || {
        let mut command = Command::new(audit_trail());
        command.arg("events").env_remove("DATABASE_URL");
        command
    };
    let (mut by_argument, mut by_environment) = (events(), events());
    by_argument.args(["--database-url", url]);
    by_environment.env("DATABASE_URL", url);
    [ran(by_argument), ran(by_environment)]
}

/// A desk's morning: an order with its broker's answer, a failed payment, a call under way, and a
/// note with escapes for terminals.
async fn morning() -> Database {
    let database = Database::new().await;
    let rows = include_str!("morning.sql");
    sqlx::raw_sql(rows).execute(&database.pool).await.unwrap();
    database
}
