//! Lines on terminals of every width, and in pipes.

use crate::{command, morning, run};
use std::process::Command;
use tests::Database;
use tests::terminal::Terminal;
use unicode_width::UnicodeWidthStr;

fn plain(database: &Database, arguments: &[&str]) -> Command {
    let mut command = command(database, arguments);
    command.env("NO_COLOR", "1");
    command
}

fn shown(database: &Database, arguments: &[&str], width: u16) -> String {
    let (shown, status) = Terminal::start(plain(database, arguments), width).end();
    assert!(status.success(), "{arguments:?} {width}: {shown}");
    shown
}

async fn insert(database: &Database, event_type: &str, data: &str) {
    let insert = "INSERT INTO audit_events (id, event_type, entity_type, data) VALUES (gen_random_uuid(), $1, 'odd', $2::text::jsonb)";
    sqlx::query(insert).bind(event_type).bind(data).execute(&database.pool).await.unwrap();
}

#[tokio::test]
async fn no_line_is_wider_than_the_terminal_and_narrow_ones_tell_the_event_and_its_entity() {
    let database = morning().await;
    let audit = database.audit().service("desk").start().unwrap();
    audit.record(audit_runtime::Event::new("order.accepted")).unwrap().stored().await.unwrap();
    audit.shutdown(std::time::Duration::from_secs(30)).await.unwrap();
    for width in [60_u16, 72, 80, 100, 120, 200] {
        for arguments in [
            &["events"][..],
            &["events", "--output", "table"],
            &["events", "--limit", "2"],
            &["status"],
            &["order", "00000000-0000-7000-8000-0000000000aa"],
        ] {
            let shown = shown(&database, arguments, width);
            let widest = shown.lines().map(UnicodeWidthStr::width).max().unwrap();
            // The state has columns of its own.
            let most = if arguments == ["status"] { 80 } else { width.into() };
            assert!(widest <= most, "{arguments:?} {width}: {widest}\n{shown}");
        }
        let timeline = shown(&database, &["events", "--event", "order.*", "--event", "payment.*"], width);
        for expected in ["order.accepted", "payment.sent", "000000aa", "000000dd", "error"] {
            assert!(width < 80 || timeline.contains(expected), "{width}: {expected}\n{timeline}");
        }
    }
    let narrow = shown(&database, &["events", "--limit", "2"], 60);
    let cursor = narrow.lines().last().unwrap().strip_prefix("--before ").unwrap();
    assert_eq!(run(&database, &["events", "--limit", "2", "--before", cursor]).code, 0, "{narrow}");
}

#[tokio::test]
async fn one_long_name_widens_no_other_row() {
    let database = morning().await;
    insert(&database, &format!("a.{}", "x".repeat(100_000)), "{}").await;
    insert(&database, "b.c", "{}").await;
    for form in ["table", "timeline"] {
        let ran = run(&database, &["events", "--output", form]);
        let wide = ran.stdout.lines().filter(|line| line.len() > 2_000).count();
        assert_eq!((ran.code, wide), (0, 1), "{form}: {}", ran.stdout.len());
        assert!(ran.stdout.contains(&"x".repeat(100_000)), "nothing is cut in a pipe");
    }
}

#[tokio::test]
async fn a_wide_group_squeezes_only_those_soon_after_it() {
    let database = morning().await;
    let group = "INSERT INTO audit_events (id, event_type, entity_type, correlation_id, created_at, data) VALUES \
        (gen_random_uuid(), $1, 'thing', gen_random_uuid(), $2::timestamptz, '{\"quantity\": 10, \"ticker\": \"AAPL\", \"side\": \"buy\"}')";
    for day in 1..12 {
        let name = if day == 1 { "a.b".repeat(30) } else { "a.b".into() };
        sqlx::query(group).bind(name).bind(format!("2026-06-{day:02}")).execute(&database.pool).await.unwrap();
    }
    let shown = shown(&database, &["events", "--limit", "11"], 80);
    let last = shown.lines().rfind(|line| line.contains("a.b")).unwrap();
    assert!(last.contains("quantity=10 side=buy ticker=AAPL"), "{shown}");
}

#[tokio::test]
async fn errors_and_changes_of_every_form_are_told() {
    let database = Database::new().await;
    for (data, expected) in [
        (
            r#"{"error": {"code": 7, "zone": "eu", "a": "x", "message": "market closed"}}"#,
            r#"error="market closed" error.a=x error.code=7 error.zone=eu"#,
        ),
        (r#"{"error": {"message": "no", "causes": "disk"}}"#, "error=no error.causes=disk"),
        (r#"{"error": {"message": "no", "causes": [{"n": 1}]}}"#, r#"error=no error.causes=[{"n":1}]"#),
        (r#"{"error": {"message": "no", "causes": ["a"]}}"#, "error=no"),
        (r#"{"error": {"code": 7}}"#, "error.code=7"),
        (r#"{"error": {}}"#, "error={}"),
        (r#"{"error": "no"}"#, "error=no"),
        (r#"{"changes": {"v": {"n": {"from": "1", "to": 1}}}}"#, r#"v.n="1"→1"#),
        (r#"{"changes": {"v": {"n": {"from": "null", "to": null}}}}"#, r#"v.n="null"→null"#),
        (r#"{"changes": {"v": {"n": {"from": "-"}, "m": {"to": "-"}}}}"#, r#"v.m=-→"-" v.n="-"→-"#),
        (r#"{"changes": {"v": {"n": {"from": "true", "to": "[1]"}}}}"#, r#"v.n="true"→"[1]""#),
        (r#"{"changes": {"v": {"n": {"from": "a→b", "to": "c"}}}}"#, r#"v.n="a→b"→c"#),
        (r#"{"changes": {"v": {"from": 1, "to": 2, "by": "ann"}}}"#, r#"changes.v={"by":"ann","from":1,"to":2}"#),
        (r#"{"changes": {"status": "closed", "n": 7}}"#, "changes.n=7 changes.status=closed"),
        (r#"{"changes": ["qty 1 to 2"]}"#, r#"changes=["qty 1 to 2"]"#),
        (r#"{"changes": {"token": "[redacted]", "v": {"n": {"from": 1, "to": 2}}}}"#, "token=[redacted] v.n=1→2"),
        (r#"{"changes": {"v": {"$error": "no", "$truncated": 3}}}"#, "v.$error=no v.$truncated=3"),
        (r#"{"n": "10", "m": 10, "b": "false", "t": "10x"}"#, r#"b="false" m=10 n="10" t=10x"#),
        ("{\"a b\": 1, \"\u{202e}\": 2, \"\u{200e}\": 3}", r#""a b"=1 "\u200e"=3 "\u202e"=2"#),
    ] {
        insert(&database, "a.b", data).await;
        let shown = shown(&database, &["events", "--limit", "1"], 200);
        let line = shown.lines().nth(2).unwrap();
        let (_, told) = line.split_once("odd ").unwrap();
        assert_eq!(told.trim(), expected, "{data}");
    }
}

#[tokio::test]
async fn invisible_characters_stay_distinct_in_an_event() {
    let database = Database::new().await;
    insert(&database, "a.b", "{\"k\u{202e}\": 1, \"k\u{200b}\": 2, \"k\u{2028}\": 3}").await;
    let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM audit_events").fetch_one(&database.pool).await.unwrap();
    let shown = shown(&database, &["event", &id.to_string()], 100);
    for key in [r#""k\u202e": 1"#, r#""k\u200b": 2"#, r#""k\u2028": 3"#] {
        assert!(shown.contains(key), "{shown}");
    }
}

#[tokio::test]
async fn values_may_begin_with_a_hyphen_and_paths_may_be_deep() {
    let database = morning().await;
    let cursor = "-1.00000000000070008000000000000004";
    let infinite = "-infinity.00000000000070008000000000000004";
    let deep = format!("{}=x", vec!["a"; 20_000].join("."));
    let value = format!("a={}{}", "[".repeat(60_000), "]".repeat(60_000));
    for (arguments, code, told) in [
        (&["--before", cursor][..], 1, "no event is before that one"),
        (&["--after", cursor], 0, ""),
        (&["--after", infinite], 0, ""),
        (&["--since", "-infinity"], 0, ""),
        (&["--until", "-infinity"], 1, "no event matches"),
        (&["--until", "294276-12-31T23:59:59.999999Z"], 0, "294276-12-31"),
        (&["--until", "294277-01-01T00:00:00Z"], 2, "294277-01-01"),
        (&["--actor", "-x"], 1, "--actor -x"),
        (&["--event", "-x", "--origin", "-y", "--entity-type", "-z", "--outcome", "ok"], 1, "--event -x"),
        (&["--where", "-a=-1"], 1, "--where -a=-1"),
        (&["--where", &deep], 2, "more levels of JSON than PostgreSQL reads"),
        (&["--where", &value], 2, "more levels of JSON than PostgreSQL reads"),
    ] {
        let ran = run(&database, &[&["events"], arguments].concat());
        let which: String = format!("{arguments:?}").chars().take(80).collect();
        assert!(ran.code == code && ran.stderr.contains(told), "{which}: {} {}", ran.code, ran.stderr);
    }
    let missing = run(&database, &["entity", "", "00000000-0000-7000-8000-0000000000fa"]);
    assert!(missing.code == 1 && missing.stderr.contains("no \"\" 0000"), "{}", missing.stderr);
}
