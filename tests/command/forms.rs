//! Every form of output, for people and for programs.

use crate::{command, morning, run};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tests::terminal::Terminal;

const ORDER: &str = "00000000-0000-7000-8000-0000000000aa";

#[tokio::test]
async fn on_a_terminal_it_is_a_timeline_in_colour_and_no_wider_than_that() {
    let database = morning().await;
    let (shown, status) = Terminal::start(command(&database, &["events"]), 120).end();
    assert!(status.success());
    assert_snapshot!("timeline", shown);
    assert!(shown.lines().all(|line| console_width(line) <= 120), "{shown}");
    // The content of a row does not control the terminal: every escape there is one of ours.
    let ours = shown.matches("\u{1b}[").count();
    assert_eq!(shown.matches('\u{1b}').count(), ours);
    assert!(!shown.contains("\u{1b}[2J") && !shown.contains('\u{7}') && !shown.contains("\u{1b}[31mred"), "{shown:?}");
}

#[tokio::test]
async fn no_form_lets_what_a_row_holds_speak_to_a_terminal() {
    let database = morning().await;
    let csi = "INSERT INTO audit_events (id, event_type, entity_type, actor, data) VALUES (gen_random_uuid(), 'note.left', 'note', \
               E'eve\\u009b31m\\u202e', jsonb_build_object('text', E'\\u009b2J\\u001b[1m\\u007f', E'\\u001bkey', 1))";
    sqlx::query(csi).execute(&database.pool).await.unwrap();
    for form in ["timeline", "table", "json", "ndjson", "csv"] {
        for wide in [true, false] {
            let mut plain = command(&database, &["events", "--output", form]);
            plain.env("NO_COLOR", "1").args(wide.then_some("--wide"));
            let (shown, status) = Terminal::start(plain, 100).end();
            assert!(status.success() && shown.contains("eve"), "{form}: {shown}");
            let steers = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
            let lines = shown.replace("\r\n", "\n");
            assert_eq!(lines.chars().find(steers), None, "{form}: {shown:?}");
            if form == "ndjson" {
                let last: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
                assert_eq!(last["data"]["text"], "\u{9b}2J\u{1b}[1m\u{7f}", "an escape means the same");
            }
        }
    }
}

/// Columns of a line without its colours.
fn console_width(line: &str) -> usize {
    let mut width = 0;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            width += 1;
        }
    }
    width
}

#[tokio::test]
async fn no_color_is_honoured_and_wide_cuts_nothing() {
    let database = morning().await;
    let mut plain = command(&database, &["events", "--actor", "user:kim", "--wide"]);
    plain.env("NO_COLOR", "1");
    let (shown, _) = Terminal::start(plain, 80).end();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    assert_snapshot!("wide", shown);
}

#[tokio::test]
async fn the_trail_of_an_order_as_a_table() {
    let database = morning().await;
    let mut table = command(&database, &["order", ORDER, "--output", "table"]);
    table.env("NO_COLOR", "1");
    let (shown, _) = Terminal::start(table, 170).end();
    assert_snapshot!("table", shown);
}

#[tokio::test]
async fn in_a_pipe_it_is_a_json_object_on_each_line() {
    let database = morning().await;
    let ran = run(&database, &["events", "--event", "order.*"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["outcome"], &lines[0]["intent"]), (&json!("started"), &json!("completed")));
    assert_eq!(lines[1]["created_at"], "2026-05-04T09:00:00.000100+00:00");
    let array: Value = serde_json::from_str(&run(&database, &["events", "--output", "json"]).stdout).unwrap();
    assert_eq!(array.as_array().unwrap().len(), 7);
    let nothing = run(&database, &["events", "--output", "json", "--actor", "nobody"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (1, "[]\n"));
}

#[tokio::test]
async fn csv_is_read_back_as_it_was_written() {
    let database = morning().await;
    let ran = run(&database, &["export", "--format", "csv"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.split_inclusive("\r\n").all(|line| line.ends_with("\r\n")), "RFC 4180 ends lines so");
    let mut reader = csv::Reader::from_reader(ran.stdout.as_bytes());
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().len(), 18);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 7);
    let payment: Value = serde_json::from_str(&rows[4][5]).unwrap();
    assert_eq!(payment["error"]["message"], "the account is closed");
    assert_eq!((&rows[5][8], &rows[6][3]), ("", ""), "NULL is empty");
}

#[tokio::test]
async fn cloud_events_are_what_their_specification_asks_for() {
    let database = morning().await;
    let ran = run(&database, &["export", "--format", "cloudevents"]);
    let events: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 7);
    for event in &events {
        let event = event.as_object().unwrap();
        assert_eq!(event["specversion"], "1.0");
        for required in ["id", "source", "type"] {
            assert!(!event[required].as_str().unwrap().is_empty());
        }
        for (name, value) in event {
            // Names are lower-case letters and digits. Values of extensions are texts here, and
            // never null.
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
            assert!(name == "data" || value.is_string(), "{name}: {value}");
        }
        chrono::DateTime::parse_from_rfc3339(event["time"].as_str().unwrap()).unwrap();
        assert_eq!(event["datacontenttype"], "application/json");
    }
    assert_snapshot!("cloudevent", serde_json::to_string_pretty(&events[1]).unwrap());
}

#[tokio::test]
async fn pages_follow_each_other_forwards_and_backwards() {
    let database = morning().await;
    let (shown, _) = Terminal::start(command(&database, &["events", "--limit", "2", "--output", "ndjson"]), 80).end();
    let hint = shown.lines().find_map(|line| line.strip_prefix("earlier ones: --before ")).unwrap().to_owned();
    let before = run(&database, &["events", "--limit", "2", "--before", &hint]);
    let types = |text: &str| -> Vec<String> {
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.map(|event| event["created_at"].as_str().unwrap()[11..19].to_owned()).collect()
    };
    assert_eq!(types(&before.stdout), ["09:00:01", "09:30:00"]);
    let after =
        run(&database, &["events", "--limit", "2", "--after", "1777885201250000.00000000000070008000000000000004"]);
    assert_eq!(types(&after.stdout), ["09:30:00", "09:31:00"]);
}

#[tokio::test]
async fn any_number_of_events_is_printed_in_little_memory() {
    let database = morning().await;
    let many = "INSERT INTO audit_events (id, event_type, entity_type, data) SELECT gen_random_uuid(), 'a.b', 'a', \
                jsonb_build_object('text', repeat('x', 4000)) FROM generate_series(1, 60000)";
    sqlx::query(many).execute(&database.pool).await.unwrap();
    for form in ["ndjson", "table", "timeline"] {
        let events = command(&database, &["events", "--limit", "4000000000", "--output", form]);
        // All of it would be a quarter of a gigabyte before it is read into anything.
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -v 400000; exec \"$@\"", "sh"]).arg(events.get_program()).args(events.get_args());
        limited.envs(events.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = limited.output().unwrap();
        assert!(output.status.success(), "{form}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = output.stdout.split(|byte| *byte == b'\n').count();
        assert!((60_007..181_000).contains(&lines), "{form}: {lines} lines");
    }
}

#[tokio::test]
async fn times_are_understood_and_told() {
    let database = morning().await;
    for (arguments, code, told) in [
        (vec!["--since", "2026-05-04 09:30:00+00"], 0, "since 2026-05-04 09:30:00.000000 +00:00 (UTC)"),
        (vec!["--since", "2026-05-04 11:30:00+02"], 0, "since 2026-05-04 09:30:00.000000 +00:00 (UTC)"),
        (
            vec!["--since", "2026-05-04", "--until", "2026-05-05 UTC"],
            0,
            "until 2026-05-05 00:00:00.000000 +00:00 (UTC)",
        ),
        (vec!["--until", "2h"], 0, "until "),
        (vec!["--since", "tomorrow"], 2, "in the future"),
        (vec!["--since", "05/04/2026"], 2, "05/04/2026"),
        (vec!["--since", "2026-05-05", "--until", "2026-05-04"], 2, "the interval is empty"),
    ] {
        let ran = run(&database, &[&["events"], &*arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{arguments:?}: {}", ran.stderr);
    }
    for zone in ["bad", ":bad"] {
        let mut events = command(&database, &["events", "--since", "2h"]);
        events.env("TZ", zone);
        let ran = crate::ran(events);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("TZ") && ran.stderr.contains(zone), "{}", ran.stderr);
    }
    let mut berlin = command(&database, &["events", "--output", "table", "--event", "payment.*"]);
    berlin.env("TZ", "Europe/Berlin");
    let ran = crate::ran(berlin);
    assert!(
        ran.stdout.contains("created_at (Europe/Berlin)") && ran.stdout.contains("11:30:00.000000 +02:00"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn a_bare_value_is_found_as_json_and_as_a_text() {
    let database = morning().await;
    let rows = r#"INSERT INTO audit_events (id, event_type, entity_type, data) SELECT gen_random_uuid(), 'w.x', 'w', d::jsonb FROM unnest(ARRAY[
        '{"no":"12345"}', '{"no":12345}', '{"flag":"true"}', '{"n":null}', '{"n":"null"}', '{"a.b":"x"}', '{"x":199.39999999999998}',
        '{"x":199.4}', '{"x":1e400}', '{"zip":"01234"}', '{"t":"x\\u0000y"}']) d"#;
    sqlx::query(rows).execute(&database.pool).await.unwrap();
    for (condition, found) in [
        ("no=12345", 2),
        ("no=\"12345\"", 1),
        ("flag=true", 1),
        ("n=null", 2),
        ("[\"a.b\"]=x", 1),
        ("x=199.39999999999998", 1),
        ("x=199.4", 1),
        ("x=1e400", 1),
        ("zip=01234", 1),
        ("t=\"x\\u0000y\"", 1),
    ] {
        let ran = run(&database, &["events", "--where", condition]);
        assert_eq!(ran.stdout.lines().count(), found, "{condition}: {} {}", ran.stdout, ran.stderr);
    }
    for bad in ["code!=1", "code", "=1"] {
        assert_eq!(run(&database, &["events", "--where", bad]).code, 2, "{bad}");
    }
}

#[tokio::test]
async fn an_order_brings_the_recommendations_that_it_names() {
    let database = morning().await;
    let recommendation = "INSERT INTO audit_events (id, event_type, entity_type, entity_id) VALUES \
        (gen_random_uuid(), 'recommendation.generated', 'recommendation', $1)";
    let named: String = sqlx::query_scalar(
        "SELECT data->>'recommendation_id' FROM audit_events WHERE data ? 'recommendation_id' LIMIT 1",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    sqlx::query(recommendation).bind(named.parse::<uuid::Uuid>().unwrap()).execute(&database.pool).await.unwrap();
    let ran = run(&database, &["order", ORDER]);
    assert!(ran.stdout.contains("recommendation.generated"), "{}", ran.stdout);
    let refused = run(&database, &["execution", "4711", "--recommendation", ORDER]);
    assert!(refused.code == 2 && refused.stderr.contains("--entity account:42"), "{}", refused.stderr);
    let refused = run(&database, &["events", "--follow", "--output", "table"]);
    assert!(refused.code == 2 && refused.stderr.contains("--follow"), "{}", refused.stderr);
}

#[tokio::test]
async fn conditions_find_what_they_say_and_are_never_part_of_the_query() {
    let database = morning().await;
    for (conditions, found) in [
        (vec!["--where", "ticker=AAPL"], 4),
        (vec!["--where", "amount=12.50"], 1),
        (vec!["--where", "error.message=the account is closed", "--actor", "user:kim"], 1),
        (vec!["--outcome", "error", "--outcome", "started"], 3),
        (vec!["--since", "2026-05-04 09:30", "--until", "2026-05-04T09:31:00Z"], 1),
        (vec!["--correlation", "00000000-0000-7000-8000-0000000000cc"], 4),
        (vec!["--causation", "00000000-0000-7000-8000-000000000002"], 1),
        (vec!["--origin", "bank@*"], 2),
        (vec!["--entity-type", "note"], 1),
        (vec!["--actor", "' OR true; DROP TABLE audit_events; --"], 0),
        (vec!["--event", "%"], 0),
    ] {
        let ran = run(&database, &[&["events"], &*conditions].concat());
        assert_eq!(ran.stdout.lines().count(), found, "{conditions:?}: {}", ran.stderr);
        assert_eq!(ran.code, i32::from(found == 0));
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let database = morning().await;
    let many = "INSERT INTO audit_events (id, event_type, entity_type) SELECT gen_random_uuid(), 'a.b', 'a' FROM generate_series(1, 20000)";
    sqlx::query(many).execute(&database.pool).await.unwrap();
    let mut child = command(&database, &["export"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
