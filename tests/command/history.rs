//! `audit-trail history`.

use crate::{command, run};
use audit_runtime::{Context, Event};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::time::Duration;
use tests::Database;
use tests::terminal::Terminal;
use unicode_width::UnicodeWidthStr;

/// An account whose limit was changed twice, and once by somebody that no event tells of.
async fn account() -> Database {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let entered = audit.enter();
    let inside = Context::new().actor("user:ada").tenant("acme").attribute("reason", "asked by phone").enter();
    for (days, from, to) in [(30, 100, 500), (20, 500, 700), (10, 900, 1_000)] {
        let changes = json!({"changes": {"account": {"limit_cents": {"from": from, "to": to}}}});
        let event = Event::new("account.limit_changed").entity("account", 42).data(&changes);
        audit.record_at(event, Utc::now() - TimeDelta::days(days)).unwrap();
    }
    let changes = json!({"changes": {"account": {"status": {"from": "open", "to": "\u{1b}[2J=closed"}}}});
    audit.record(Event::new("account.closed").entity("account", 42).data(&changes)).unwrap();
    audit.record(Event::new("account.viewed").entity("account", 43)).unwrap();
    drop((inside, entered));
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database
}

#[tokio::test]
async fn programs_get_each_change_and_the_state() {
    let database = account().await;
    for arguments in [&["history", "account", "42"][..], &["history", "account:42"]] {
        let ran = run(&database, arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let changes: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(changes.len(), 4, "{}", ran.stdout);
        assert_eq!(changes[0]["to"], json!({"is": "known", "value": 500}));
        assert_eq!((&changes[0]["actor"], &changes[0]["reason"]), (&json!("user:ada"), &json!("asked by phone")));
        assert_eq!(changes[2]["unrecorded"], json!({"is": "known", "value": 700}));
    }
    let array = run(&database, &["history", "account:42", "--field", "limit_cents", "--output", "json"]).stdout;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&array).unwrap().len(), 3);
    let csv = run(&database, &["history", "account:42", "--output", "csv"]).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!((rows.len(), &rows[0][3], &rows[0][5], &rows[2][7]), (4, "100", "500", "700"));
    for (at, limit, status) in [
        ("40d", json!({"is": "known", "value": 100}), "open"),
        ("25d", json!({"is": "known", "value": 500}), "open"),
        ("15d", json!({"is": "unknown"}), "open"),
        ("5d", json!({"is": "known", "value": 1000}), "open"),
    ] {
        let ran = run(&database, &["history", "account", "42", "--at", at]);
        let state: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&state[0]["value"], &state[1]["value"]["value"]), (&limit, &json!(status)), "{at}: {}", ran.stdout);
        assert!(ran.stderr.contains("account 42 as of 20") && ran.stderr.contains("(UTC)"), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn people_see_who_when_and_why_in_one_line_each() {
    let database = account().await;
    for width in [80_u16, 120, 200] {
        for (arguments, told) in [
            (&["history", "account", "42"][..], &["limit_cents", "100\u{2192}500", "user:ada"][..]),
            (&["history", "account", "42", "--at", "15d"], &["limit_cents", "[unknown]", "open"]),
        ] {
            let mut history = command(&database, arguments);
            history.env("NO_COLOR", "1");
            let (shown, status) = Terminal::start(history, width).end();
            assert!(status.success() && told.iter().all(|told| shown.contains(told)), "{shown}");
            assert!(shown.lines().all(|line| line.width() <= usize::from(width)), "{shown}");
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
            assert!(width < 120 || !told.contains(&"user:ada") || shown.contains("asked by phone"), "{shown}");
        }
    }
    let mut history = command(&database, &["history", "account", "42"]);
    history.env("NO_COLOR", "1");
    let (shown, _) = Terminal::start(history, 120).end();
    let gap = shown.lines().find(|line| line.contains("no event reports this change")).unwrap();
    assert!(gap.contains("700\u{2192}900") && gap.contains("before that"), "{shown}");
}

#[tokio::test]
async fn an_empty_history_says_what_there_is() {
    let database = account().await;
    for (arguments, code, told) in [
        (&["history", "account", "43"][..], 1, "its events are shown by audit-trail entity account 43"),
        (&["history", "account", "44"], 1, "audit-trail find 44"),
        (&["history", "account", "42", "--field", "limit"], 1, "no change of the field limit of account 42"),
        (&["history", "account", "42", "--tenant", "other"], 1, "for the tenant other"),
        (&["history", "account"], 2, "the key of the account is missing"),
        (&["history", "account:42", "--at", "yesterdayish"], 2, "--at"),
    ] {
        let ran = run(&database, arguments);
        assert!(ran.code == code && ran.stderr.contains(told), "{arguments:?}: {} {}", ran.code, ran.stderr);
    }
    assert_eq!(run(&database, &["history", "account", "43", "--output", "json"]).stdout, "[]\n");
}
