//! `audit-trail find`.

use crate::{command, morning, run};
use audit_runtime::Event;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;
use tests::Database;
use tests::terminal::Terminal;

async fn invoices() -> Database {
    let database = morning().await;
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("invoice.sent").entity("invoice", "INV-7").tenant("acme")).unwrap();
    audit.record(Event::new("transfer.made").entity("transfer", 9).target("invoice", "INV-7")).unwrap();
    let long = format!("{} paid inv-7 too late {}", "x".repeat(200), "y".repeat(200));
    audit.record(Event::new("note.left").data(&json!({"text": long}))).unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database
}

fn types(stdout: &str) -> Vec<String> {
    let events = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_come_first_then_values_and_the_time_that_is_looked_at_is_told() {
    let database = invoices().await;
    let ran = run(&database, &["find", "INV-7"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(types(&ran.stdout), ["invoice.sent", "transfer.made", "note.left"]);
    assert!(
        ran.stderr.contains("keys and ids of all times, values since ") && ran.stderr.contains("(UTC)"),
        "{}",
        ran.stderr
    );
    let few = run(&database, &["find", "INV-7", "--limit", "2"]);
    assert_eq!(types(&few.stdout), ["invoice.sent", "transfer.made"]);
    assert!(few.stderr.contains("2 events are printed, and the search ended there"), "{}", few.stderr);
    assert_eq!(types(&run(&database, &["find", "INV-7", "--tenant", "acme"]).stdout), ["invoice.sent"]);
    assert_eq!(types(&run(&database, &["find", "INV-7", "--event", "note.*"]).stdout), ["note.left"]);
    // The desk's morning is older than 30 days.
    let old = run(&database, &["find", "B-000001"]);
    assert_eq!((old.code, old.stdout.as_str()), (1, ""), "{}", old.stderr);
    assert!(old.stderr.contains("personal values are encrypted") && old.stderr.contains("since"), "{}", old.stderr);
    let all = run(&database, &["find", "B-000001", "--since", "2026-05-01"]);
    assert_eq!(types(&all.stdout), ["order.accepted", "order.submitted"]);
    assert!(all.stderr.contains("since 2026-05-01"), "{}", all.stderr);
    for (text, code) in [("%", 1), ("'; DROP TABLE audit_events; --", 1), ("-x", 1), ("", 2)] {
        let ran = run(&database, &["find", text, "--since", "-infinity"]);
        assert_eq!(ran.code, code, "{text}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_terminal_shows_where_the_text_is() {
    let database = invoices().await;
    for width in [80_u16, 120, 200] {
        let mut find = command(&database, &["find", "INV-7"]);
        find.env("NO_COLOR", "1");
        let (shown, status) = Terminal::start(find, width).end();
        assert!(status.success() && shown.contains("invoice INV-7") && shown.contains("data.text="), "{shown}");
        assert!(width < 120 || shown.contains("paid inv-7"), "{shown}");
        assert!(shown.contains("\u{2192}invoice:INV-7") || width == 80, "{shown}");
    }
    // The end of an id, as a timeline shows it.
    let id: String = sqlx::query_scalar("SELECT id::text FROM audit_events WHERE event_type = 'note.left' AND entity_key IS NULL ORDER BY created_at DESC LIMIT 1")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    for text in [format!("\u{2026}{}", &id[28..]), id.to_uppercase()] {
        let ran = run(&database, &["find", &text]);
        assert!(types(&ran.stdout).contains(&"note.left".to_owned()), "{text}: {}{}", ran.stdout, ran.stderr);
    }
}

#[tokio::test]
async fn results_are_printed_as_they_come_and_an_interrupt_keeps_them() {
    let database = invoices().await;
    // A value that takes ten minutes to be read: keys do not need it.
    let slow = "CREATE FUNCTION slow() RETURNS jsonb STABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$; \
        ALTER TABLE audit_events RENAME TO slowed; \
        CREATE VIEW audit_events AS SELECT id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, correlation_id, \
        causation_id, CASE WHEN event_type = 'note.left' THEN slow() ELSE context END AS context, origin, batch_id, entity_key, targets, tenant FROM slowed";
    sqlx::raw_sql(slow).execute(&database.pool).await.unwrap();
    let mut find = command(&database, &["find", "INV-7"]);
    let mut child = find.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.contains("invoice.sent"), "{first}");
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the search is incomplete; what it found is printed"), "{told}");
    for line in [&*first].into_iter().chain(rest.lines()) {
        serde_json::from_str::<Value>(line).unwrap();
    }
}
