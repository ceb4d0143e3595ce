//! The messages for mistakes.

use crate::{morning, run, run_at};
use std::process::Command;
use tests::Database;
use tests::examples::audit_trail;

#[tokio::test]
async fn an_empty_answer_says_what_there_is_instead() {
    let database = morning().await;
    let order = "00000000-0000-7000-8000-0000000000aa";
    for (arguments, said) in [
        (
            ["entity", "payment", order],
            "no payment 00000000-0000-7000-8000-0000000000aa was found, but events about it as order, position",
        ),
        (["entity", "order", "00000000-0000-7000-8000-000000000003"], "it is the id of an event"),
        (["entity", "order", "00000000-0000-7000-8000-0000000000cc"], "it is a correlation"),
        (
            ["entity", "order", "00000000-0000-7000-8000-0000000000ff"],
            "no order 00000000-0000-7000-8000-0000000000ff was found",
        ),
    ] {
        let ran = run(&database, &arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn mistakes_are_told_with_what_to_write_instead() {
    let database = morning().await;
    for (arguments, said) in [
        (vec!["event", "x"], "invalid value 'x' for '<ID>'"),
        (vec!["events", "--since", "soon"], "write 2026-05-04T03:02:01Z"),
        (vec!["events", "--since", "2026-05-05", "--until", "2026-05-04"], "the interval is empty"),
        (
            vec!["events", "--outcome", "fine"],
            "this library writes ok, error, panicked, cancelled, started and interrupted",
        ),
        (vec!["events", "--where", "ticker"], "write key=value"),
        (vec!["events", "--after", "x"], "invalid cursor"),
        (vec!["events", "--limit", "0"], "0 is not in 1.."),
        (vec!["evnts"], "events"),
        (vec!["export", "--output", "csv"], "--format"),
        (vec!["journal", "status", "/nowhere"], "/nowhere"),
    ] {
        let ran = run(&database, &arguments);
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_missing_schema_and_a_server_that_cannot_be_reached_are_told_without_the_password() {
    let database = Database::empty().await;
    for arguments in
        [vec!["events"], vec!["status"], vec!["export"], vec!["events", "--follow"], vec!["quarantine", "list"]]
    {
        let ran = run(&database, &arguments);
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.stderr.contains("run audit-trail migrate"), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(run(&database, &["migrate"]).code, 0);
    assert_eq!(run(&database, &["status"]).code, 0);
    for (url, code) in [("postgres://u:hunter2@127.0.0.1:1/x", 3), ("postgres://u:hunter2@host:port/x", 2)] {
        for ran in run_at(url) {
            assert_eq!(ran.code, code, "{}", ran.stderr);
            assert!(!ran.stderr.contains("hunter2") && !ran.stderr.is_empty(), "{}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn status_says_who_writes_and_what_waits() {
    let database = morning().await;
    let audit = database.audit().service("desk").start().unwrap();
    audit.record(audit_runtime::Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let ran = run(&database, &["status"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for said in [
        "desk@",
        "1 event in 1 batch",
        "in flight     1 call, the oldest since 2026-05-04T09:31:00.000000+00:00",
        "quarantine    0",
        "audit_events_default",
    ] {
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
    audit.shutdown(std::time::Duration::from_secs(10)).await.unwrap();
}

#[test]
fn completions_and_manual_pages_are_made_without_a_database() {
    let made = |arguments: &[&str]| {
        let mut command = Command::new(audit_trail());
        command.args(arguments).env_remove("DATABASE_URL");
        crate::ran(command)
    };
    for shell in ["bash", "zsh", "fish"] {
        assert!(made(&["completions", shell]).stdout.contains("quarantine"), "{shell}");
    }
    assert!(made(&["man"]).stdout.contains(".TH audit-trail 1"));
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(made(&["man", "--directory", directory.path().to_str().unwrap()]).code, 0);
    assert!(directory.path().join("audit-trail-events.1").exists());
}
