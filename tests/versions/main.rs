//! The life of a trail on one version of PostgreSQL, on a subscriber, and through an upgrade.
//!
//! `scripts/postgres-versions.sh life` runs this with each version that is supported.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod life;
mod replication;
mod upgrade;

use audit_runtime::evidence::SigningKey;
use audit_runtime::{Event, Timestamp};
use std::process::Command;
use std::time::{Duration, SystemTime};
use tests::examples::audit_trail;
use tests::{Cluster, Database};

/// Records so many events as a service does.
async fn record(database: &Database, events: i64) {
    let audit = database.audit().start().unwrap();
    for number in 0..events {
        let event = Event::new("invoice.paid").entity("invoice", format!("INV-{number}")).tenant("acme");
        audit.record(event.target("account", number).data(&serde_json::json!({"cents": number}))).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
}

/// Inserts so many rows of another program into a month that had no partition.
async fn fill_old_month(database: &Database, rows: i64) {
    let old = "INSERT INTO audit_events (id, event_type, entity_type, created_at) \
               SELECT gen_random_uuid(), 'order.filled', 'order', date_trunc('month', now()) - interval '3 months' + n * interval '1 hour' \
               FROM generate_series(1, $1) n";
    sqlx::query(old).bind(rows).execute(&database.pool).await.unwrap();
}

/// Verifies a trail with its key and a checkpoint that was kept.
async fn verifies(database: &Database, key: &SigningKey, saved: &str) {
    let (findings, report) = database.verify(Some(key.public()), &[saved.to_owned()]).await;
    assert_eq!(report.problems, 0, "{findings:#?}");
    assert!(report.rows > 0 && report.signatures > 0, "{report:?}");
}

/// Returns whether doctor finds nothing, and what it says.
fn doctor(database: &Database, options: &[&str]) -> (bool, String) {
    let mut command = Command::new(audit_trail());
    let output = command.arg("doctor").args(options).env("DATABASE_URL", &database.url).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Requires that doctor finds nothing.
fn is_well(database: &Database, options: &[&str]) {
    let (is_well, said) = doctor(database, options);
    assert!(is_well, "{said}");
}

/// Dumps a database, with owners and rights, as statements.
fn dump(cluster: &Cluster, url: &str) -> Option<String> {
    let output = cluster.program("pg_dump")?.args(["--dbname", url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // A newer pg_dump sets what an older server lacks.
    let dumped = String::from_utf8(output.stdout).unwrap();
    let is_known = |line: &&str| cluster.major() >= 17 || !line.starts_with("SET transaction_timeout");
    Some(dumped.lines().filter(is_known).map(|line| format!("{line}\n")).collect())
}

/// The first day of the last month, before which all months are over.
fn last_month() -> Timestamp {
    use chrono::{Datelike, Months, TimeZone, Utc};
    let now = Utc::now();
    let first = Utc.with_ymd_and_hms(now.year(), now.month(), 1, 0, 0, 0).unwrap();
    SystemTime::from(first - Months::new(1)).into()
}
