//! A reader that has seen enough, and a disk that is full.

use crate::{command, morning};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, pipe};
use std::process::{Command, ExitStatus, Stdio};
use tests::Database;

/// An end to write to that nobody reads.
fn closed() -> Stdio {
    let (read, write) = pipe().unwrap();
    drop(read);
    write.into()
}

/// Its exit status, and its standard error.
fn into_nothing(mut command: Command) -> (Option<i32>, String) {
    let output = command.stdout(closed()).stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The exit status of `command 2>&1 | true`.
fn all_into_nothing(mut command: Command) -> Option<i32> {
    command.stdout(closed()).stderr(closed()).status().unwrap().code()
}

#[tokio::test]
async fn whatever_it_prints_a_closed_pipe_is_quiet() {
    let database = morning().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, master, other) = (path("key"), path("master"), path("other"));
    let role = format!("role_{}", uuid::Uuid::now_v7().simple());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE ROLE {role}"))).execute(&database.pool).await.unwrap();
    for arguments in [
        vec!["--help"],
        vec!["events", "--help"],
        vec!["--version"],
        vec!["man"],
        vec!["completions", "bash"],
        vec!["completions", "zsh"],
        vec!["checkpoint", "--new-key", "audit.example.com/desk", "--key", &key],
        vec!["master-key", &master],
        vec!["events"],
        vec!["events", "--output", "table"],
        vec!["export"],
        vec!["status"],
        vec!["status", "--output", "json"],
        vec!["partitions"],
        vec!["migrate", "--reader", &role],
        vec!["verify"],
        vec!["verify", "--json"],
        vec!["checkpoint", "--key", &key],
        vec!["prune", "--before", "2019-01-01"],
    ] {
        let (code, stderr) = into_nothing(command(&database, &arguments));
        assert!(code == Some(0) && !stderr.contains("panicked"), "{arguments:?}: {code:?} {stderr}");
        assert!(!stderr.contains("pipe"), "{arguments:?}: {stderr}");
    }
    // A closed pipe does not end what has an effect.
    let granted = format!("SELECT has_table_privilege('{role}', 'audit_events', 'SELECT')");
    let granted: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(granted)).fetch_one(&database.pool).await.unwrap();
    assert!(granted, "the role is granted its rights although nobody reads that it is");
    assert_eq!(database.count("SELECT count(*) FROM audit_checkpoints").await, 1);
    // Notices go to a pipe that is closed, too. An error keeps its exit status.
    for (arguments, code) in [
        (vec!["events", "--actor", "nobody"], 0),
        (vec!["export", "--actor", "nobody"], 0),
        (vec!["quarantine", "list"], 0),
        (vec!["checkpoint", "--new-key", "x", "--key", &other], 0),
        (vec!["verify"], 0),
        (vec!["events", "--limit", "0"], 2),
        (vec!["verify", "--checkpoint", "/nowhere"], 2),
        (vec!["evnts"], 2),
    ] {
        assert_eq!(all_into_nothing(command(&database, &arguments)), Some(code), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    let database = morning().await;
    for arguments in [
        &["--help"][..],
        &["man"],
        &["completions", "bash"],
        &["events"],
        &["export"],
        &["status"],
        &["partitions"],
        &["verify"],
        &["migrate"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command(&database, arguments).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("No space left on device"), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn verify_reports_problems_by_its_exit_status_even_if_nobody_reads_them() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    for _ in 0..50 {
        audit.record(audit_runtime::Event::new("order.accepted")).unwrap();
    }
    audit.shutdown(std::time::Duration::from_secs(30)).await.unwrap();
    let first_line = |database: &Database| -> (String, ExitStatus, String) {
        let mut child = command(database, &["verify"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (line, child.wait().unwrap(), stderr)
    };
    let (line, status, stderr) = first_line(&database);
    assert!(line.starts_with("rows  ") && status.success(), "{line}{stderr}");
    let change = "SET session_replication_role TO replica; UPDATE audit_events SET actor = actor || '!'; RESET session_replication_role";
    sqlx::raw_sql(change).execute(&database.pool).await.unwrap();
    let (line, status, stderr) = first_line(&database);
    assert!(line.starts_with("altered: ") && status.code() == Some(1), "{line}{stderr}");
    assert!(stderr.contains("50 problems") && !stderr.contains("panicked"), "{stderr}");
}
