//! Keys, further entities and tenants: in every form of output, and as conditions.

use crate::{command, run};
use audit_runtime::{Context, EntityId, Event};
use serde_json::{Value, json};
use std::time::Duration;
use tests::Database;
use tests::terminal::Terminal;

/// One transfer with all of them, and an event without.
async fn transfers() -> Database {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let transfer = Event::new("transfer.booked").entity("transfer", ("DE", 7)).tenant("acme").target("account", 42);
    let entered = audit.enter();
    let hop = json!({"hop": 1});
    let inside = Context::new().attribute("ip", "10.0.0.7").attribute("attempt", "3").attribute("trace", &hop).enter();
    let inside = (inside, Context::new().attribute("reason", "asked by phone").enter());
    audit.record(transfer.target("account", "x\u{1b}[2J")).unwrap();
    drop((inside, entered));
    audit.record(Event::new("order.opened").entity("order", uuid::Uuid::nil())).unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database
}

#[tokio::test]
async fn programs_get_every_column() {
    let database = transfers().await;
    let EntityId::Id(id) = EntityId::named("transfer", "DE/7") else { panic!("a name gives an id") };
    let lines = run(&database, &["export"]).stdout;
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keyed = &events[0];
    assert_eq!((&keyed["entity_key"], &keyed["tenant"]), (&json!("DE/7"), &json!("acme")));
    assert_eq!((&keyed["entity_id"], &keyed["targets"][0]["key"]), (&json!(id), &json!("42")));
    assert!(["entity_key", "targets", "tenant"].iter().all(|name| events[1].get(name).is_none()), "{lines}");
    let csv = run(&database, &["export", "--format", "csv"]).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[15..], ["entity_key", "targets", "tenant"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!((&rows[0][15], &rows[0][17], &rows[1][15]), ("DE/7", "acme", ""));
    assert_eq!(serde_json::from_str::<Value>(&rows[0][16]).unwrap(), keyed["targets"]);
    let cloud = run(&database, &["export", "--format", "cloudevents"]).stdout;
    let cloud: Value = serde_json::from_str(cloud.lines().next().unwrap()).unwrap();
    assert_eq!((&cloud["entitykey"], &cloud["tenant"]), (&json!("DE/7"), &json!("acme")));
    assert_eq!(cloud["subject"], json!(format!("transfer/{id}")));
    assert!(cloud["targets"].as_str().unwrap().contains("\"42\""), "{cloud}");
}

#[tokio::test]
async fn people_see_the_key_and_no_form_lets_one_speak_to_a_terminal() {
    let database = transfers().await;
    for arguments in [
        &["events", "--tenant", "acme"][..],
        &["events", "--tenant", "acme", "--wide"],
        &["events", "--tenant", "acme", "--output", "table", "--wide"],
        &["entity", "transfer", "DE/7"],
    ] {
        let mut plain = command(&database, arguments);
        plain.env("NO_COLOR", "1");
        let (shown, status) = Terminal::start(plain, 200).end();
        assert!(status.success() && shown.contains("transfer DE/7"), "{arguments:?}: {shown}");
        assert!(shown.contains("reason=\"asked by phone\""), "{arguments:?}: {shown}");
        assert!(shown.contains("\u{2192}account:42") && shown.contains("tenant=acme"), "{arguments:?}: {shown}");
        assert!(!shown.contains('\u{1b}'), "{arguments:?}: {shown:?}");
    }
    let query = "SELECT id::text FROM audit_events WHERE tenant = 'acme'";
    let id: String = sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap();
    let mut detail = command(&database, &["event", &id]);
    detail.env("NO_COLOR", "1");
    let (shown, _) = Terminal::start(detail, 200).end();
    for line in ["entity      transfer DE/7", "tenant      acme", "targets     [", "entity id   "] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[tokio::test]
async fn conditions_take_keys() {
    let database = transfers().await;
    for (arguments, found) in [
        (&["events", "--entity", "transfer:DE/7"][..], 1),
        (&["events", "--entity", "order:00000000-0000-0000-0000-000000000000"], 1),
        (&["events", "--entity", "transfer:DE"], 0),
        (&["events", "--target", "account:42"], 1),
        (&["events", "--target", "account:43"], 0),
        (&["events", "--tenant", "acme"], 1),
        (&["events", "--tenant", "ACME"], 0),
        (&["entity", "transfer", "DE/7"], 1),
        (&["entity", "transfer:DE/7"], 1),
        // It is only a further one there.
        (&["entity", "account", "42"], 1),
        (&["events", "--context", "ip=10.0.0.7"], 1),
        (&["events", "--context", "attempt=3"], 1),
        (&["events", "--context", "trace.hop=1"], 1),
        (&["events", "--context", "ip=10"], 0),
        (&["export", "--context", "ip=10.0.0.7", "--tenant", "acme"], 1),
        (&["entity", "order", "00000000-0000-0000-0000-000000000000"], 1),
    ] {
        let ran = run(&database, arguments);
        assert_eq!(ran.stdout.lines().count(), found, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, i32::from(found == 0), "{arguments:?}");
    }
    for (arguments, told) in [
        (&["entity", "account", "43"][..], "audit-trail find 43 looks in all values"),
        // The type and the key are compared exactly.
        (&["entity", "Transfer", "DE/7"], "events about it as transfer: audit-trail entity transfer DE/7"),
        (&["order", "4711"], "no order 4711 was found"),
    ] {
        let nothing = run(&database, arguments);
        assert!(nothing.code == 1 && nothing.stderr.contains(told), "{}", nothing.stderr);
    }
    let alone = run(&database, &["entity", "transfer"]);
    assert!(alone.code == 2 && alone.stderr.contains("entity transfer KEY"), "{}", alone.stderr);
    let wrong = run(&database, &["events", "--entity", "transfer"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("TYPE:KEY"), "{}", wrong.stderr);
    let nothing = run(&database, &["events", "--entity", "a:b", "--tenant", "x"]);
    assert!(nothing.stderr.contains("--entity a:b --tenant x"), "{}", nothing.stderr);
}

#[tokio::test]
async fn a_trail_marks_events_in_which_the_entity_is_a_further_one() {
    let database = transfers().await;
    let mut plain = command(&database, &["entity", "account", "42"]);
    plain.env("NO_COLOR", "1");
    let (shown, _) = Terminal::start(plain, 160).end();
    assert!(shown.contains("transfer DE/7 (target) \u{2192}account:42"), "{shown}");
    let own = run(&database, &["entity", "transfer", "DE/7", "--output", "timeline"]).stdout;
    assert!(!own.contains("(target)"), "{own}");
}

#[tokio::test]
async fn an_order_is_found_by_its_key_and_by_what_names_it() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("order.opened").entity("order", 4711)).unwrap();
    audit.record(Event::new("order.opened").entity("order", 4712)).unwrap();
    audit.record(Event::new("parcel.sent").entity("parcel", 1).data(&json!({"order_id": 4711}))).unwrap();
    audit.record(Event::new("parcel.lost").entity("parcel", 1).data(&json!({"order_id": "4711"}))).unwrap();
    audit.record(Event::new("invoice.sent").entity("invoice", 1).target("order", 4711)).unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let ran = run(&database, &["order", "4711"]);
    let mut types: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event_type"].clone()).collect();
    types.sort_by_key(ToString::to_string);
    assert_eq!(types, ["invoice.sent", "order.opened", "parcel.lost", "parcel.sent"], "{}", ran.stderr);
}

#[tokio::test]
async fn an_event_is_shown_with_its_causes_its_effects_and_its_evidence() {
    let database = crate::morning().await;
    let shown = |id: &str, width: u16| {
        let mut event = command(&database, &["event", id]);
        event.env("NO_COLOR", "1");
        let (shown, status) = Terminal::start(event, width).end();
        assert!(status.success(), "{shown}");
        assert!(
            width > 80 || shown.lines().all(|line| line.chars().count() <= 80 || line.starts_with("  ")),
            "{shown}"
        );
        shown
    };
    let middle = shown("00000000-0000-7000-8000-000000000002", 300);
    let line = |name: &str| middle.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("causes").contains("order.submitted started"), "{middle}");
    assert!(line("effects").contains("order.accepted ok"), "{middle}");
    assert!(line("evidence").contains("not sealed yet; audit-trail checkpoint seals it"), "{middle}");
    let first = shown("00000000-0000-7000-8000-000000000001", 300);
    let effects: Vec<&str> = first.lines().skip_while(|line| !line.starts_with("effects")).collect();
    assert!(effects[0].contains("order.submitted ok") && effects[1].contains("  20"), "{first}");
    assert!(!first.contains("causes"), "{first}");
    shown("00000000-0000-7000-8000-000000000002", 80);
    // A chain that leads back to itself has an end, and a cause that is missing is told.
    let circle = "INSERT INTO audit_events (id, event_type, entity_type, causation_id) VALUES \
        ('00000000-0000-4000-8000-0000000000c1', 'a.one', 'a', '00000000-0000-4000-8000-0000000000c2'), \
        ('00000000-0000-4000-8000-0000000000c2', 'a.two', 'a', '00000000-0000-4000-8000-0000000000c1'), \
        ('00000000-0000-4000-8000-0000000000c3', 'a.three', 'a', '00000000-0000-4000-8000-0000000000c4')";
    sqlx::raw_sql(circle).execute(&database.pool).await.unwrap();
    let circle = shown("00000000-0000-4000-8000-0000000000c1", 300);
    assert_eq!((circle.matches("a.two").count(), circle.matches("a.one").count()), (2, 1), "{circle}");
    assert!(shown("00000000-0000-4000-8000-0000000000c3", 300).contains("0000000000c4 is not in the trail"));
    // Sealed with its batch, and then under a checkpoint.
    let audit = database.audit().start().unwrap();
    let id = audit.record(Event::new("order.accepted")).unwrap().id().to_string();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    assert!(shown(&id, 300).contains("not under a checkpoint yet"));
    let key = audit_runtime::evidence::SigningKey::generate("desk").unwrap();
    database.admin().checkpoint(&key).await.unwrap();
    assert!(shown(&id, 300).contains("under the checkpoint of 20"));
    let late = shown("00000000-0000-7000-8000-000000000002", 300);
    assert!(late.contains("sealed late, by batch ") && late.contains("under the checkpoint of 20"), "{late}");
}

#[tokio::test]
async fn the_quarantine_tells_whom_and_a_hold_that_keeps_nothing_is_told() {
    let database = Database::new().await;
    let constraint = "ALTER TABLE audit_events ADD CONSTRAINT no_x CHECK (actor <> 'x') NOT VALID";
    sqlx::query(constraint).execute(&database.pool).await.unwrap();
    let audit = database.audit().start().unwrap();
    let event = Event::new("account.closed").entity("account", 42).target("customer", 7).tenant("acme").actor("x");
    audit.record(event).unwrap();
    audit.record(Event::new("account.closed").entity("account", 43).target("customer", 7)).unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let listed = run(&database, &["quarantine", "list"]).stdout;
    assert!(listed.contains("account 42 \u{2192}customer:7 tenant=acme"), "{listed}");
    let held = |hold: &str| run(&database, &["prune", "--before", "2020-01-01", "--dry-run", "--hold", hold]).stderr;
    assert!(held("Account:43").contains("--hold Account:43 keeps nothing"));
    for known in ["account:43", "customer:7"] {
        assert_eq!(held(known), "", "{known}");
    }
}
