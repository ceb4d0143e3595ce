//! Keys, further entities and tenants: in every form of output, and as conditions.

use crate::{command, run};
use audit_runtime::{EntityId, Event};
use serde_json::{Value, json};
use std::time::Duration;
use tests::Database;
use tests::terminal::Terminal;

/// One transfer with all of them, and an event without.
async fn transfers() -> Database {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let transfer = Event::new("transfer.booked").entity("transfer", ("DE", 7)).tenant("acme").target("account", 42);
    audit.record(transfer.target("account", "x\u{1b}[2J")).unwrap();
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
        assert!(shown.contains("account:42") && shown.contains("tenant=acme"), "{arguments:?}: {shown}");
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
        (&["entity", "order", "00000000-0000-0000-0000-000000000000"], 1),
    ] {
        let ran = run(&database, arguments);
        assert_eq!(ran.stdout.lines().count(), found, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, i32::from(found == 0), "{arguments:?}");
    }
    let nothing = run(&database, &["entity", "account", "42"]);
    assert!(nothing.code == 1 && nothing.stderr.contains("--target account:42"), "{}", nothing.stderr);
    let wrong = run(&database, &["events", "--entity", "transfer"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("TYPE:KEY"), "{}", wrong.stderr);
    let nothing = run(&database, &["events", "--entity", "a:b", "--tenant", "x"]);
    assert!(nothing.stderr.contains("--entity a:b --tenant x"), "{}", nothing.stderr);
}
