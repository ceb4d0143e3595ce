//! All that is on record about a person is found, and whoever may forget can do nothing else.

use crate::roles::{is_refused, named};
use audit_runtime::admin::{Admin, Role};
use audit_runtime::trail::{Trail, TrailEvent};
use audit_runtime::{Context, Event, MasterKey};
use futures_util::TryStreamExt;
use serde_json::json;
use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::Duration;
use tests::Database;
use tests::examples::audit_trail;

async fn about(trail: &Trail, subject: &str) -> Vec<TrailEvent> {
    trail.subject(subject).await.unwrap().stream().try_collect().await.unwrap()
}

fn types(events: &[TrailEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

/// Events about customer 42, each in its own way, and others that only look like it.
async fn told(database: &Database, master: &MasterKey) {
    let audit = database.audit().master_key(master.clone()).start().unwrap();
    let record = |event: Event| drop(audit.record(event).unwrap());
    let mail = json!({"mail": "ann@example.com"});
    record(Event::new("a.entity").entity("customer", 42));
    record(Event::new("b.target").entity("order", 7).target("customer", 42).target("customer", 43));
    record(Event::new("c.actor").actor("customer:42"));
    record(Event::new("d.personal").personal("customer:42", &mail).personal("customer:43", &json!({"to": 1})));
    record(Event::new("e.named").data(&json!({"customer_id": 42})));
    record(Event::new("f.nested").data(&json!({"lines": [{"for": "customer:42"}]})));
    {
        let _inside = Context::new().personal("ip", "customer:42", "192.0.2.7").enter();
        record(Event::new("g.context"));
    }
    record(Event::new("h.all").entity("customer", 42).actor("customer:42").personal("customer:42", &mail));
    for number in [4, 43, 420] {
        let event = Event::new("z.other").entity("customer", number).actor(format_args!("customer:{number}"));
        let event = event.data(&json!({"customer_id": number, "note": format!("customer:{number}"), "order_id": 42}));
        record(event.personal(format_args!("customer:{number}"), &mail));
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
}

const ABOUT: [&str; 8] = ["a.entity", "b.target", "c.actor", "d.personal", "e.named", "f.nested", "g.context", "h.all"];

#[tokio::test(flavor = "multi_thread")]
async fn each_event_about_a_person_is_found_once_and_no_other() {
    let database = Database::new().await;
    let master = MasterKey::generate();
    told(&database, &master).await;
    let trail = Trail::new(database.pool.clone()).master_key(master.clone());
    let events = about(&trail, "customer:42").await;
    assert_eq!(types(&events), ABOUT);
    assert_eq!(events[3].data, json!({"mail": "ann@example.com", "to": 1}));
    assert_eq!(types(&about(&trail, "customer:43").await), ["b.target", "d.personal", "z.other"]);
    assert!(about(&trail, "nobody").await.is_empty() && about(&trail, "customer:4' OR true").await.is_empty());
    // A reader does not learn whose the keys are.
    let (_, pool) = named(&database, "reader", Role::Reader).await;
    let found = Trail::new(pool).subject("customer:42").await.unwrap();
    assert!(!found.finds_personal_values() && trail.subject("customer:42").await.unwrap().finds_personal_values());
    let events: Vec<TrailEvent> = found.stream().try_collect().await.unwrap();
    assert_eq!(
        types(&events),
        ABOUT.iter().copied().filter(|kind| !["d.personal", "g.context"].contains(kind)).collect::<Vec<_>>()
    );
    // A forgotten person is found where it is named still.
    database.admin().forget("customer:42").await.unwrap().unwrap();
    let events = about(&trail, "customer:42").await;
    assert_eq!(types(&events), ["a.entity", "b.target", "c.actor", "e.named", "f.nested", "h.all"]);
    assert_eq!(events[5].data["mail"], "[erased]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_many_events_is_found_page_by_page() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    for number in 0..2_500 {
        audit.record(Event::new("a.b").entity("customer", 42).data(&json!({"n": number}))).unwrap();
        audit.record(Event::new("a.b").entity("customer", number)).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let events = about(&Trail::new(database.pool.clone()), "customer:42").await;
    let numbers: BTreeSet<String> = events.iter().map(|event| event.data["n"].to_string()).collect();
    // One more, whose number is 42.
    assert_eq!((events.len(), numbers.len()), (2_501, 2_501));
    assert!(events.is_sorted_by_key(|event| (event.created_at, event.id)));
}

fn run(url: &str, master: &MasterKey, arguments: &[&str]) -> (Output, String, String) {
    let mut command = Command::new(audit_trail());
    command.args(["--database-url", url]).args(arguments).env("AUDIT_MASTER_KEY", master.secret());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.clone(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_exports_a_person_and_forgets_several() {
    let database = Database::new().await;
    let master = MasterKey::generate();
    told(&database, &master).await;
    let (output, stdout, stderr) = run(&database.url, &master, &["subject", "customer:42", "--output", "ndjson"]);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let events: Vec<TrailEvent> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(types(&events), ABOUT);
    let (output, _, stderr) = run(&database.url, &master, &["subject", "nobody"]);
    assert_eq!((output.status.code(), stderr.contains("found no event about nobody")), (Some(1), true), "{stderr}");
    let (output, stdout, stderr) = run(&database.url, &master, &["forget", "customer:42", "nobody", "customer:43"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("customer:42 is forgotten") && stdout.contains("customer:43 is forgotten"), "{stdout}");
    assert!(stderr.contains("found no key of nobody:") && stderr.contains("not erased: actors"), "{stderr}");
    assert_eq!(database.count("SELECT count(*) FROM audit_keys WHERE subject IS NOT NULL").await, 2);
    assert_eq!(database.events_of("audit.forgotten").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eraser_forgets_and_does_nothing_else() {
    let database = Database::new().await;
    let master = MasterKey::generate();
    told(&database, &master).await;
    let (url, pool) = named(&database, "eraser", Role::Eraser).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE 'audit%' AND relkind IN ('r', 'p')",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(tables.len() > 10);
    for table in tables {
        is_refused(&pool, &format!("SELECT * FROM {table}")).await;
        is_refused(&pool, &format!("INSERT INTO {table} DEFAULT VALUES")).await;
        is_refused(&pool, &format!("DELETE FROM {table}")).await;
    }
    is_refused(&pool, "SELECT subject FROM audit_keys").await;
    is_refused(&pool, "SELECT audit_take_keys('{}', '{}', '{}')").await;
    is_refused(&pool, "SELECT audit_bind(gen_random_uuid())").await;
    let forgotten = Admin::new(pool.clone()).actor("dpo").forget("customer:42").await.unwrap().unwrap();
    assert!(forgotten.is_rewritten);
    assert_eq!(Admin::new(pool.clone()).forget("customer:42").await.unwrap(), None);
    let (output, stdout, stderr) = run(&url, &master, &["forget", "customer:43"]);
    assert!(output.status.success() && stdout.contains("customer:43 is forgotten"), "{stdout}{stderr}");
    let trail = Trail::new(database.pool.clone()).master_key(master.clone());
    let events = about(&trail, "customer:42").await;
    assert_eq!(events.last().unwrap().data["mail"], "[erased]");
    let reports: serde_json::Value = sqlx::query_scalar(
        "SELECT jsonb_agg(jsonb_build_array(actor, data ->> 'database_user') ORDER BY created_at) FROM audit_events \
         WHERE event_type = 'audit.forgotten'",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    let name: String = sqlx::query_scalar("SELECT session_user::text").fetch_one(&pool).await.unwrap();
    assert_eq!((&reports[0], &reports[1][1]), (&json!(["dpo", name]), &json!(name)));
    // Everybody else may not.
    let (url, reader) = named(&database, "reader", Role::Reader).await;
    is_refused(&reader, "SELECT audit_forget('customer:4', gen_random_uuid(), NULL, NULL)").await;
    is_refused(&reader, "SELECT audit_rewrite_keys()").await;
    let (output, _, stderr) = run(&url, &master, &["forget", "customer:4"]);
    assert!(!output.status.success() && stderr.contains("migrate --eraser"), "{stderr}");
    database.is_unharmed().await;
}
