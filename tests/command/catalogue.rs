//! `audit-trail catalogue`.

use crate::{command, run};
use insta::assert_snapshot;
use serde_json::{Value, json};
use tests::Database;
use tests::terminal::Terminal;
use unicode_width::UnicodeWidthStr;

fn field(name: &str, source: &str, capture: &str, is_personal: bool) -> Value {
    json!({"name": name, "source": source, "capture": capture, "is_personal": is_personal})
}

fn submit(line: u32) -> Value {
    json!({
        "function": "desk::orders::submit", "file": "src/orders.rs", "line": line,
        "events": ["order.submitted", "order.rejected"], "entity_type": "order", "has_id": true,
        "fields": [
            field("ticker", "parameter", "value", false),
            field("email", "parameter", "value", true),
            field("pin", "parameter", "redacted", false),
            field("db", "parameter", "left_out", false),
            field("note|<b>", "field", "display", false),
        ],
        "guarantee": "required", "is_in_transaction": true, "is_async": true,
    })
}

fn function(name: &str, events: &[&str]) -> Value {
    json!({"function": name, "file": "src/lib.rs", "line": 7, "events": events, "entity_type": "order", "guarantee": "journal"})
}

async fn insert(database: &Database, service: &str, version: &str, day: u32, functions: &[Value]) {
    sqlx::query(
        "INSERT INTO audit_catalogue (service, version, digest, functions, origin, first_seen_at) \
         VALUES ($1, $2, sha256($3::text::bytea), $3, 'test', make_timestamptz(2026, 5, $4, 9, 0, 0, 'UTC'))",
    )
    .bind(service)
    .bind(version)
    .bind(Value::from(functions.to_vec()))
    .bind(i32::try_from(day).unwrap())
    .execute(&database.pool)
    .await
    .unwrap();
}

/// Two services, of which one has lost a function; and events of types that are declared or not.
async fn services() -> Database {
    let database = Database::new().await;
    insert(&database, "broker", "1.0.0", 1, &[submit(40), function("desk::old", &["order.amended"])]).await;
    let mut late = function("desk::assess", &[]);
    late["has_late_events"] = json!(true);
    insert(&database, "broker", "1.1.0", 2, &[submit(42), late]).await;
    insert(&database, "\u{1b}[2Jcrm", "", 3, &[function("crm::view", &["customer.viewed"])]).await;
    sqlx::raw_sql(
        "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at) \
         SELECT gen_random_uuid(), t, 'order', 'ada', '{}', now() - a * interval '1 day' FROM (VALUES ('order.submitted', 1), \
         ('order.submitted', 200), ('order.rejected', 100), ('order.amended', 150), ('risk.high', 2), ('risk.old', 300), \
         ('audit.gap', 1)) AS e (t, a)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    database
}

fn rows(database: &Database, arguments: &[&str]) -> Vec<Value> {
    let ran = run(database, arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[tokio::test]
async fn people_see_each_service_with_its_functions_and_fields() {
    let database = services().await;
    let ran = run(&database, &["catalogue"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_snapshot!("catalogue", ran.stdout);
    let (shown, status) = Terminal::start(command(&database, &["catalogue"]), 100).end();
    assert!(status.success() && !shown.contains('\u{1b}'), "{shown:?}");
    let all = run(&database, &["catalogue", "--all", "--service", "broker"]).stdout;
    assert!(all.contains("desk::old in src/lib.rs:7") && all.contains("versions   1.0.0 only"), "{all}");
    assert!(!all.contains("crm::view"), "{all}");
}

#[tokio::test]
async fn an_auditor_gets_a_record_of_processing_activities() {
    let database = services().await;
    let ran = run(&database, &["catalogue", "--format", "markdown"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let record: Vec<&str> = ran.stdout.lines().filter(|line| !line.starts_with("As of ")).collect();
    assert_snapshot!("record", record.join("\n"));
}

#[tokio::test]
async fn programs_get_json_and_csv() {
    let database = services().await;
    let functions = rows(&database, &["catalogue", "--format", "json"]);
    assert_eq!(functions.len(), 3, "{functions:?}");
    let submit = functions.iter().find(|function| function["function"] == "desk::orders::submit").unwrap();
    assert_eq!((&submit["first_version"], &submit["last_version"]), (&json!("1.0.0"), &json!("1.1.0")));
    assert_eq!((&submit["line"], &submit["is_current"]), (&json!(42), &json!(true)));
    assert_eq!(submit["fields"][1], field("email", "parameter", "value", true));
    assert_eq!(rows(&database, &["catalogue", "--format", "json", "--all"]).len(), 4);
    let csv = run(&database, &["catalogue", "--format", "csv", "--service", "broker"]).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let row = reader.records().map(Result::unwrap).find(|row| &row[1] == "desk::orders::submit").unwrap();
    let cell = |name: &str| &row[header.iter().position(|column| column == name).unwrap()];
    assert_eq!((cell("personal"), cell("redacted"), cell("left_out")), ("email", "pin", "db"));
    assert_eq!((cell("recorded"), cell("first_version")), ("ticker email note|<b>", "1.0.0"));
}

#[tokio::test]
async fn types_that_nobody_records_and_types_that_nobody_declares_are_found() {
    let database = services().await;
    let types = |arguments: &[&str]| -> Vec<String> {
        let rows = rows(&database, &[arguments, &["--format", "json"]].concat());
        rows.iter().map(|row| row["event_type"].as_str().unwrap().to_owned()).collect()
    };
    // `order.amended` is declared by no newest version.
    assert_eq!(types(&["catalogue", "--unused"]), ["customer.viewed"]);
    assert_eq!(types(&["catalogue", "--unused", "--since", "90d"]), ["customer.viewed", "order.rejected"]);
    assert_eq!(types(&["catalogue", "--unused", "--since", "90d", "--service", "broker"]), ["order.rejected"]);
    assert_eq!(types(&["catalogue", "--unknown"]), ["risk.high", "risk.old"]);
    assert_eq!(types(&["catalogue", "--unknown", "--since", "90d"]), ["risk.high"]);
    let unknown = run(&database, &["catalogue", "--unknown"]);
    assert!(unknown.stderr.contains("1 function decides its event type") && unknown.stderr.contains("desk::assess"));
    for width in [80_u16, 160] {
        let mut unused = command(&database, &["catalogue", "--unused", "--since", "90d"]);
        unused.env("NO_COLOR", "1");
        let (shown, status) = Terminal::start(unused, width).end();
        assert!(status.success() && shown.contains("never") && !shown.contains('\u{1b}'), "{shown:?}");
        assert!(shown.lines().all(|line| line.width() <= usize::from(width)), "{shown}");
    }
    let csv = run(&database, &["catalogue", "--unused", "--format", "csv"]).stdout;
    assert!(csv.starts_with("event_type,last_recorded,service,function,place\r\ncustomer.viewed,,"), "{csv}");
}

#[tokio::test]
async fn an_empty_answer_says_why() {
    let database = Database::new().await;
    for (arguments, code, told) in [
        (&["catalogue"][..], 1, "no service has stored a catalogue"),
        (&["catalogue", "--unused"], 1, "no service has stored a catalogue"),
        (&["catalogue", "--unknown"], 1, "every event type that was recorded is in a catalogue"),
        (&["catalogue", "--since", "90d"], 2, "--unused"),
        (&["catalogue", "--output", "json"], 2, "--format"),
        (&["catalogue", "--unknown", "--service", "x"], 2, "leave --service out"),
    ] {
        let ran = run(&database, arguments);
        assert!(ran.code == code && ran.stderr.contains(told), "{arguments:?}: {} {}", ran.code, ran.stderr);
    }
    insert(&database, "broker", "1.0.0", 1, &[function("desk::view", &[])]).await;
    let ran = run(&database, &["catalogue", "--service", "brokr"]);
    assert!(ran.code == 1 && ran.stderr.contains("these have one: broker"), "{}", ran.stderr);
    let ran = run(&database, &["catalogue", "--unused"]);
    assert!(ran.code == 1 && ran.stderr.contains("was recorded"), "{}", ran.stderr);
    sqlx::raw_sql("DROP TABLE audit_catalogue").execute(&database.pool).await.unwrap();
    let ran = run(&database, &["catalogue"]);
    assert!(ran.code == 1 && ran.stderr.contains("audit-trail migrate"), "{} {}", ran.code, ran.stderr);
}

#[tokio::test]
async fn a_function_is_shown_with_the_rules_in_force_about_its_events() {
    let database = services().await;
    for (age, origin, rule) in [(3, "broker@a:1", "old"), (2, "broker@b:1", "submits"), (1, "crm@a:1", "views")] {
        let data = json!({"rules": [
            {"event": "order.sub*", "rule": format!("{rule}: events of type order.sub*: not recorded")},
            {"event": "fund.*", "rule": "funds: events of type fund.*: not recorded"},
        ]});
        sqlx::query(
            "INSERT INTO audit_events (id, event_type, entity_type, actor, data, origin, created_at) VALUES \
             (gen_random_uuid(), 'audit.policy_changed', 'audit', 'audit', $1, $2, now() - $3 * interval '1 day')",
        )
        .bind(data)
        .bind(origin)
        .bind(age)
        .execute(&database.pool)
        .await
        .unwrap();
    }
    let shown = run(&database, &["catalogue", "--service", "broker"]).stdout;
    assert!(shown.contains("\n  policy     submits: events of type order.sub*: not recorded\n"), "{shown}");
    assert!(!shown.contains("old:") && shown.matches("funds:").count() == 1, "{shown}");
    let functions = rows(&database, &["catalogue", "--format", "json"]);
    let rules = |name: &str| {
        let one = functions.iter().find(|function| function["function"] == name).unwrap();
        one["rules"].as_array().unwrap().len()
    };
    // The types of the second are known only when it is called.
    assert_eq!((rules("desk::orders::submit"), rules("desk::assess"), rules("crm::view")), (1, 2, 0));
}
