//! The existing Python system and this one, on the same tables.

use audit_runtime::execution::{OrderFilled, OrderSubmitted, RiskEvaluated};
use audit_runtime::trail::{Trail, TrailEvent};
use audit_runtime::{Event, Json, Timestamp};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::Duration;
use tests::python::existing;
use tests::{Database, eventually};
use uuid::Uuid;

/// The output of the program, a JSON object a line.
fn asked(url: &str, arguments: &[&str]) -> Option<Vec<Value>> {
    let output = existing(url, arguments)?.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(
        output
            .stdout
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect(),
    )
}

fn written(url: &str, events: &[Value]) -> Option<Vec<Uuid>> {
    let mut child = existing(url, &["write"])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    events.iter().for_each(|event| writeln!(input, "{event}").unwrap());
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap().lines().map(|id| id.parse().unwrap()).collect())
}

/// A row as the existing system gives it to its callers.
fn seven(event: &TrailEvent) -> Value {
    let event = serde_json::to_value(event).unwrap();
    let columns = ["id", "event_type", "entity_type", "entity_id", "actor", "data", "created_at"];
    columns
        .iter()
        .map(|column| ((*column).to_owned(), event[*column].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test]
async fn each_side_reads_the_other_sides_rows_the_same() {
    let database = Database::new().await;
    let (order, recommendation, risk) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let odd = json!({"ticker": "ÄÖ\u{1f600}\"\\", "side": null, "quantity": 1e3, "price": 1.10, "large": 9_007_199_254_740_993_i64,
                     "list": [1, [], {}, "x"], "nested": {"recommendation_id": "no"}, "flag": true, "recommendation_id": recommendation});
    let events = [
        json!({"event_type": "order.submitted", "entity_type": "order", "entity_id": order, "data": odd,
               "created_at": "2026-05-04T03:02:01.000123+00:00", "actor": "broker_service"}),
        json!({"event_type": "order.noted", "entity_type": "order", "data": {"order_id": order}, "created_at": "2026-05-04T05:02:02+02:00"}),
    ];
    let Some(ids) = written(&database.url, &events) else { return };
    let audit = database.audit().start().unwrap();
    let at = |second: u32| format!("2026-05-04T03:02:{second:02}.5Z").parse::<Timestamp>().unwrap();
    let submitted = OrderSubmitted {
        order_id: order,
        ticker: "AAPL".into(),
        quantity: 2.5,
        recommendation_id: Some(recommendation),
        ..Default::default()
    };
    let evaluated = RiskEvaluated {
        evaluation_id: risk,
        recommendation_id: Some(recommendation),
        rejection_reasons: vec!["size".into()],
        ..Default::default()
    };
    audit.record_at(submitted, at(3)).unwrap();
    audit.record_at(evaluated, at(4)).unwrap();
    audit.record_at(OrderFilled { order_id: order, fill_price: None, ..Default::default() }, at(5)).unwrap();
    audit.record_at(Event::new("risk.noted").entity("risk_evaluation", risk), at(6)).unwrap();
    audit.flush().await.unwrap();

    let trail = Trail::new(database.pool.clone());
    let (order_text, recommendation_text) = (order.to_string(), recommendation.to_string());
    for (arguments, ours, rows) in [
        (vec!["order", &order_text], trail.order(order, None).await.unwrap(), 4),
        (vec!["order", &order_text, &recommendation_text], trail.order(order, Some(recommendation)).await.unwrap(), 4),
        (vec!["entity", "order", &order_text], trail.entity("order", order).await.unwrap(), 3),
        (
            vec!["execution", &order_text, &recommendation_text],
            trail.execution(order, recommendation).await.unwrap(),
            5,
        ),
    ] {
        let theirs = asked(&database.url, &arguments).unwrap();
        assert_eq!(theirs.len(), rows, "{arguments:?}");
        // Theirs omits a fraction of zero, as Python does.
        let plain = |row: &Value| {
            let mut row = row.clone();
            row["created_at"] = json!(row["created_at"].as_str().unwrap().replace(".000000+", "+"));
            row
        };
        assert_eq!(ours.iter().map(|event| plain(&seven(event))).collect::<Vec<_>>(), theirs, "{arguments:?}");
    }
    let first = &trail.order(order, None).await.unwrap()[0];
    assert_eq!((first.id, &first.data), (ids[0], &Json::from(&odd)));
    assert_eq!((first.outcome.as_str(), first.correlation_id, first.batch_id), ("ok", None, None));
    assert_eq!(first.created_at.to_string(), "2026-05-04T03:02:01.000123+00:00");
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

struct Hammer {
    child: Child,
}

impl Hammer {
    fn start(url: &str) -> Option<Self> {
        let mut child = existing(url, &["hammer", "4"])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        child.stdout = Some(output.into_inner());
        Some(Self { child })
    }

    /// How many inserts returned, and what failed.
    fn end(mut self) -> (i64, String) {
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
        (counts["returned"].as_i64().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test]
async fn both_write_the_same_tables_at_once() {
    let database = Database::new().await;
    let Some(hammer) = Hammer::start(&database.url) else { return };
    let audit = database.audit().start().unwrap();
    (0..20_000).for_each(|_| drop(audit.record(Event::new("order.accepted")).unwrap()));
    audit.flush().await.unwrap();
    let (returned, failed) = hammer.end();
    assert_eq!(failed, "");
    assert_eq!(database.events().await, 20_000 + returned);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_million_rows_of_the_existing_system_are_taken_in_while_it_writes() {
    let database = Database::empty().await;
    let Some(()) = asked(&database.url, &["create"]).map(drop) else { return };
    let rows = "INSERT INTO audit_events SELECT gen_random_uuid(), 'order.filled', 'order', gen_random_uuid(), 'broker_service', \
                jsonb_build_object('number', n, 'recommendation_id', gen_random_uuid()), now() - n * interval '10 seconds' \
                FROM generate_series(1, 1000000) n";
    sqlx::query(rows).execute(&database.pool).await.unwrap();
    // One of them has a time in the future.
    let ahead = json!({"event_type": "order.noted", "entity_type": "order", "data": {}, "created_at": "2099-01-01T00:00:00+00:00"});
    written(&database.url, &[ahead]).unwrap();
    // It writes as a role that may do no more.
    let role = format!("existing_{}", Uuid::now_v7().simple());
    let grant = format!("CREATE ROLE {role} LOGIN; GRANT INSERT ON audit_events TO {role}");
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&database.pool).await.unwrap();
    let hammer = Hammer::start(&database.url.replace("postgres@", &format!("{role}@"))).unwrap();
    // Two processes at once.
    let mut told = Vec::new();
    let admin = database.admin();
    let (one, two) = tokio::join!(admin.migrate_with_progress(|step| told.push(step.to_string())), admin.migrate());
    one.unwrap();
    two.unwrap();
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let before = database.events().await;
    eventually("its writers go on", || async { database.events().await > before + 100 }).await;
    let (returned, failed) = hammer.end();
    assert_eq!(failed, "", "no insert is lost");
    assert_eq!(database.events().await, 1_000_000 + 1 + 1 + returned);
    assert_eq!(database.count("SELECT count(DISTINCT id) FROM audit_events").await, 1_000_000 + 1 + 1 + returned);
    // It reports its steps, and once it has finished, nothing is left to do.
    if !told.is_empty() {
        assert!(
            told[0].contains("a plain table audit_events is here, of ")
                && told.iter().any(|step| step.contains("exchanging")),
            "{told:?}"
        );
    }
    let mut again = 0;
    database.admin().migrate_with_progress(|_| again += 1).await.unwrap();
    assert_eq!(again, 0);
    // The rows are under the same guard as any.
    let error = sqlx::query("UPDATE audit_events SET actor = 'x' WHERE event_type = 'order.noted'")
        .execute(&database.pool)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
    let error = sqlx::query("TRUNCATE audit_events_default").execute(&database.pool).await.unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
    // No index was built under the lock, and none is missing. Three belong to partitions alone.
    let unattached = "SELECT count(*) FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid LEFT JOIN pg_inherits i ON i.inhrelid = x.indexrelid \
                      WHERE c.relname = 'audit_events_default' AND x.indexrelid::regclass::text LIKE 'audit_events_default_%' AND i.inhrelid IS NULL";
    assert_eq!(database.count(unattached).await, 3);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_left_as_it_is_and_every_reason_is_told() {
    for (table, reasons) in [
        (
            "CREATE TABLE audit_events (id bigint, event_type text, entity_type text, entity_id uuid, actor text, data json, amount numeric)",
            vec![
                "column id is bigint, not uuid",
                "column data is json, not jsonb",
                "no column created_at",
                "column amount has no place",
            ],
        ),
        (
            "CREATE TABLE audit_events (id uuid, event_type varchar(80), entity_type text, entity_id uuid, actor text, data jsonb, created_at timestamptz); \
             INSERT INTO audit_events (id, event_type) VALUES (gen_random_uuid(), 'a.b')",
            vec!["in 1 rows entity_type is NULL"],
        ),
        (
            "CREATE TABLE audit_events (id uuid PRIMARY KEY, event_type text, entity_type text, entity_id uuid, actor text, data jsonb, created_at timestamptz); \
             CREATE VIEW recent AS SELECT * FROM audit_events; CREATE TABLE notes (event uuid REFERENCES audit_events); \
             CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
             CREATE TRIGGER told AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION tell()",
            vec!["view recent reads it", "table notes refers to it by a foreign key", "trigger told fires on it"],
        ),
    ] {
        let database = Database::empty().await;
        sqlx::raw_sql(table).execute(&database.pool).await.unwrap();
        let error = database.admin().migrate().await.unwrap_err().to_string();
        for reason in reasons {
            assert!(error.contains(reason), "{reason}: {error}");
        }
        assert_eq!(
            database.count("SELECT count(*) FROM pg_class WHERE relname = 'audit_events' AND relkind = 'r'").await,
            1
        );
        assert_eq!(database.count("SELECT count(*) FROM pg_class WHERE relname = 'audit_batches'").await, 0);
        let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'audit_events'::regclass AND attnum > 0";
        assert_eq!(database.count(columns).await, 7, "not one more");
        // Mended, it fits.
        sqlx::raw_sql("DROP TABLE audit_events CASCADE; CREATE TABLE audit_events (id uuid, event_type varchar(80), entity_type text, entity_id uuid, \
                       actor text, data jsonb, created_at timestamptz); INSERT INTO audit_events VALUES (gen_random_uuid(), 'a.b', 'a', NULL, 'x', '{}', now())")
            .execute(&database.pool).await.unwrap();
        database.admin().migrate().await.unwrap();
        assert_eq!(database.events().await, 1);
    }
}
