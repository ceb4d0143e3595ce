//! Keys, further entities and tenants on their whole way: into rows by the writer, by `tx` and by an adopter, and back by filters.

use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use audit_runtime::{Audit, Context, EntityId, Event, Outcome, audited};
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use std::time::Duration;
use tests::python::python;
use tests::{Database, eventually};
use uuid::Uuid;

/// Keys that could be mistaken for something else on the way.
const KEYS: [&str; 8] =
    ["42", "", "a/b\\c", "\"}]'; --", "01935c2e7c4a7bbd8f8e2d6c5b4a3921", "ä\u{1f600}", "\u{0}", "NULL"];

#[audited(event = "transfer.booked", id = number, tx = tx, also(account = accounts), tenant = tenant)]
async fn book(
    tx: &mut PgConnection,
    number: i128,
    accounts: Vec<&str>,
    tenant: Option<&str>,
) -> Result<(), sqlx::Error> {
    Ok(())
}

#[audited(event = "job.run", id = name, intent, also(machine = 7), tenant = "acme")]
async fn run(name: &str) {
    std::future::pending::<()>().await;
}

async fn of_type(database: &Database, event_type: &str) -> Vec<TrailEvent> {
    let filter = EventFilter::new().event(event_type).limit(1_000);
    Trail::new(database.pool.clone()).events(&filter).await.unwrap().events
}

async fn shut_down(audit: &Audit) {
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn a_row_is_what_the_probe_showed() {
    let database = Database::new().await;
    let probe = audit_runtime::testing::Probe::new();
    let audit = database.audit().start().unwrap();
    for (number, key) in KEYS.iter().enumerate() {
        let event = Event::new("file.read")
            .entity("file", *key)
            .target("owner", *key)
            .target("owner", Uuid::from_u128(number as u128))
            .tenant(*key)
            .data(&json!({"number": number}));
        probe.audit().record(&event).unwrap();
        audit.record(&event).unwrap();
    }
    audit.record(Event::new("file.plain")).unwrap();
    shut_down(&audit).await;
    let mut rows = of_type(&database, "file.read").await;
    rows.sort_by_key(|row| row.data["number"].as_i64());
    for (row, shown) in rows.iter().zip(probe.events()) {
        assert_eq!(row.data, shown.data);
        assert_eq!((&row.entity_key, row.entity_id), (&shown.entity_key, shown.entity_id));
        assert_eq!((&row.targets, &row.tenant), (&shown.targets, &shown.tenant));
        assert_eq!(row.targets.as_ref().unwrap().as_array().unwrap().len(), 2);
    }
    assert_eq!(rows.len(), KEYS.len());
    let [plain] = &*of_type(&database, "file.plain").await else { panic!("one row") };
    assert_eq!((&plain.entity_key, &plain.targets, &plain.tenant), (&None, &None, &None));
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_transactions_row_has_them_too_and_is_sealed_with_them() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    audit.scope(book(&mut tx, i128::MIN, vec!["1", "DE/2"], Some("acme"))).await.unwrap();
    tx.commit().await.unwrap();
    let [row] = &*of_type(&database, "transfer.booked").await else { panic!("one row") };
    assert_eq!(row.entity_key.as_deref(), Some(&*i128::MIN.to_string()));
    assert_eq!((row.tenant.as_deref(), row.batch_id), (Some("acme"), None));
    assert_eq!(row.targets.as_ref().unwrap()[1]["key"], "DE/2");
    let key = audit_runtime::evidence::SigningKey::generate("test").unwrap();
    assert_eq!(database.admin().checkpoint(&key).await.unwrap().sealed_late, 1);
    let form = "SELECT leaf_form::bigint FROM audit_batches WHERE origin = 'sealed late'";
    assert_eq!(database.count(form).await, 2);
    let report = database.is_unharmed().await;
    assert_eq!((report.sealed_late, report.not_sealed), (1, 0));
    shut_down(&audit).await;
}

#[tokio::test]
async fn an_interruption_is_about_what_its_intent_was() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let task = tokio::spawn(audit.scope(run("nightly/1")));
    eventually("the intent is stored", async || database.events_of("job.run").await == 1).await;
    // As a process does that is killed: the call never ends.
    shut_down(&audit).await;
    let [event] = &*of_type(&database, "audit.interrupted").await else { panic!("one interruption") };
    assert_eq!((event.outcome, event.entity_key.as_deref()), (Outcome::Interrupted, Some("nightly/1")));
    let [intent] = &*of_type(&database, "job.run").await else { panic!("one intent") };
    assert_eq!((&event.targets, &event.tenant), (&intent.targets, &intent.tenant));
    assert_eq!((event.entity_id, event.tenant.as_deref()), (intent.entity_id, Some("acme")));
    database.is_unharmed().await;
    task.abort();
}

#[tokio::test]
async fn filters_find_by_key_by_further_entity_and_by_tenant() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let entered = audit.enter();
    for key in KEYS {
        let event = Event::new("file.read").entity("file", key).target("owner", key).tenant(key);
        audit.record(event.data(&json!({"key": key.replace('\0', "NUL")}))).unwrap();
    }
    let inside = Context::new().tenant(7).enter();
    audit.record(Event::new("order.opened").entity("order", (1, "x"))).unwrap();
    drop((inside, entered));
    shut_down(&audit).await;
    let trail = Trail::new(database.pool.clone());
    for key in KEYS {
        let shown = json!(key.replace('\0', "NUL"));
        let any = EventFilter::new();
        let by_trail = trail.entity("file", key).await.unwrap();
        for filter in [any.clone().entity("file", key), any.clone().target("owner", key), any.clone().tenant(key)] {
            let found = trail.events(&filter).await.unwrap().events;
            let keys: Vec<Value> = found.iter().map(|event| event.data["key"].value()).collect();
            assert_eq!((keys, &found), (vec![shown.clone()], &by_trail), "{key:?}");
        }
        // A further entity has a trail, too.
        let as_target = trail.entity("owner", key).await.unwrap();
        assert_eq!(as_target, by_trail);
        assert!(as_target[0].is_about("file", key) && !as_target[0].is_about("owner", key));
        assert!(trail.entity("nobody", key).await.unwrap().is_empty());
    }
    let found = trail.events(&EventFilter::new().tenant("7").entity("order", (1, "x"))).await.unwrap().events;
    assert_eq!(found.len(), 1);
    assert!(trail.entity("order", None::<u8>).await.unwrap().is_empty());
    assert!(trail.events(&EventFilter::new().target("order", None::<u8>)).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn rows_of_older_versions_are_found_by_the_key_that_they_kept() {
    let database = Database::new().await;
    let digits = "01935c2e7c4a7bbd8f8e2d6c5b4a3921";
    let insert = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, data) VALUES (gen_random_uuid(), 'a.b', 'file', $1, $2)";
    for (id, data) in [
        (None, json!({"$entity_id": "INV-7", "n": 1})),
        (None, json!({"$entity_id": "INV-8", "n": 2})),
        (Some(Uuid::parse_str(digits).unwrap()), json!({"n": 3})),
        (Some(Uuid::nil()), json!({"$entity_id": "INV-7", "n": 4})),
    ] {
        sqlx::query(insert).bind(id).bind(data).execute(&database.pool).await.unwrap();
    }
    let trail = Trail::new(database.pool.clone());
    for (key, expected) in [("INV-7", vec![1]), ("INV-8", vec![2]), (digits, vec![3]), ("INV-9", vec![])] {
        let by_filter = trail.events(&EventFilter::new().entity("file", key)).await.unwrap().events;
        for found in [trail.entity("file", key).await.unwrap(), by_filter] {
            let numbers: Vec<i64> = found.iter().filter_map(|event| event.data["n"].as_i64()).collect();
            assert_eq!(numbers, expected, "{key}");
        }
    }
}

#[tokio::test]
async fn the_recipe_is_the_same_in_sql_python_and_rust() {
    let database = Database::new().await;
    sqlx::query("CREATE EXTENSION \"uuid-ossp\"").execute(&database.pool).await.unwrap();
    let sql = "SELECT uuid_generate_v5(uuid_generate_v5(uuid_ns_url(), 'urn:audit:' || $1), $2)";
    let code =
        "import sys, uuid\nprint(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, 'urn:audit:' + sys.argv[1]), sys.argv[2]))";
    for (kind, key) in [("account", "42"), ("invoice", "INV-2026-0007"), ("Ärger", "a/b\\\u{1f600}"), ("", "")] {
        let EntityId::Id(id) = EntityId::named(kind, key) else { panic!("a name gives an id") };
        let by_sql: Uuid = sqlx::query_scalar(sql).bind(kind).bind(key).fetch_one(&database.pool).await.unwrap();
        assert_eq!(by_sql, id, "{kind} {key}");
        if let Some(python) = python() {
            let output = std::process::Command::new(python).args(["-c", code, kind, key]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), id.to_string(), "{output:?}");
        }
    }
}
