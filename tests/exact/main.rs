//! Values are stored as they were passed, and shown as they are stored: compared by digits with
//! PostgreSQL's own texts.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod changes;
mod documents;
mod rows;
mod times;

use std::process::Command;
use tests::Database;
use tests::examples::audit_trail;

/// Returns the standard output of the command, which has to succeed.
fn printed(database: &Database, arguments: &[&str]) -> String {
    let output = Command::new(audit_trail())
        .args(arguments)
        .env("DATABASE_URL", &database.url)
        .env("TZ", "UTC")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
