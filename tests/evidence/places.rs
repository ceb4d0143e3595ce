//! Personal values are encrypted in each place that may hold one, and in rows that their callers
//! store.

use crate::independent;
use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use audit_runtime::{Audit, Context, Event, MasterKey, audited};
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::json;
use sqlx::postgres::Postgres;
use sqlx::{Executor, Transaction};
use std::time::Duration;
use tests::Database;

const MAIL: &str = "ann@example.com";
const BELOW: char = '\u{1f}';

#[derive(Serialize)]
struct Customer {
    mail: String,
    limit: u32,
}

#[audited(
    event = "customer.moved", id = none, changes(customer.mail, customer.limit, all = customer), personal(mail, all, actor, street),
    actor = format_args!("login:{}", customer.mail), subject = "customer:42",
)]
fn change(customer: &mut Customer, street: &str) {
    customer.mail = format!("new.{MAIL}");
    customer.limit = 2;
}

#[audited(
    event = "customer.created", id = none, tx = tx, personal(mail, actor, phone = "household:7"), actor = "login:ann@example.com",
    subject = |id| format!("customer:{id}"), skip(id),
)]
async fn create(tx: &mut Transaction<'_, Postgres>, id: u32, mail: &str, phone: &str) -> Result<u32, sqlx::Error> {
    tx.execute("INSERT INTO customers DEFAULT VALUES").await?;
    Ok(id)
}

async fn with_customers() -> (Database, MasterKey) {
    let database = Database::new().await;
    database.pool.execute("CREATE TABLE customers (id serial)").await.unwrap();
    (database, MasterKey::generate())
}

fn start(database: &Database, master: &MasterKey) -> Audit {
    database.audit().master_key(master.clone()).start().unwrap()
}

async fn read(database: &Database, master: Option<&MasterKey>, event_type: &str) -> Vec<TrailEvent> {
    let trail = Trail::new(database.pool.clone());
    let trail = master.into_iter().fold(trail, |trail, master| trail.master_key(master.clone()));
    trail.stream(EventFilter::new().event(event_type)).try_collect().await.unwrap()
}

async fn holds_no_mail(database: &Database) {
    let rows: String = sqlx::query_scalar("SELECT string_agg(e::text, ' ') FROM audit_events e")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(!rows.contains(MAIL) && !rows.contains("192.0.2.7") && !rows.contains("$personal"), "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_place_is_encrypted_read_with_the_key_and_erased() {
    let (database, master) = with_customers().await;
    let audit = start(&database, &master);
    {
        let _audit = audit.enter();
        let context = Context::new().attribute("app", "shop").personal("ip", "device:9", "192.0.2.7");
        let _context = context.enter();
        change(&mut Customer { mail: MAIL.into(), limit: 1 }, "Elm Street");
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    holds_no_mail(&database).await;
    let new = format!("new.{MAIL}");
    let shown = json!({"street": "Elm Street", "changes": {
        "mail": {"from": MAIL, "to": new}, "limit": {"from": 1, "to": 2},
        "all": {"mail": {"from": MAIL, "to": new}, "limit": {"from": 1, "to": 2}},
    }});
    let [event] = &*read(&database, Some(&master), "customer.moved").await else { panic!("one row") };
    assert_eq!((event.data.value(), event.actor.as_str()), (shown, "login:ann@example.com"));
    assert_eq!(event.context.as_ref().unwrap().value(), json!({"app": "shop", "ip": "192.0.2.7"}));
    if let Some(found) = independent::personal(&database, &master) {
        let mut names: Vec<String> = found.iter().map(|(_, name, ..)| name.replace(BELOW, "/")).collect();
        names.sort_unstable();
        let expected = [
            "/actor",
            "changes/all/limit/from",
            "changes/all/limit/to",
            "changes/all/mail/from",
            "changes/all/mail/to",
            "changes/mail/from",
            "changes/mail/to",
            "context/ip",
            "street",
        ];
        assert_eq!(names, expected);
        assert!(found.iter().all(|(.., is_nonce)| *is_nonce), "{found:#?}");
        let of = |name: &str| &found.iter().find(|(_, found, ..)| found.replace(BELOW, "/") == name).unwrap().2;
        assert_eq!((of("changes/mail/from"), of("context/ip")), (&json!(MAIL), &json!("192.0.2.7")));
    }
    let shown = |instead: &str| {
        let leaf = json!({"from": instead, "to": instead});
        json!({"street": instead, "changes": {"mail": leaf, "limit": {"from": 1, "to": 2}, "all": {"mail": leaf, "limit": leaf}}})
    };
    let [event] = &*read(&database, None, "customer.moved").await else { panic!("one row") };
    assert_eq!((event.data.value(), event.actor.as_str()), (shown("[encrypted]"), "[encrypted]"));
    database.admin().forget("customer:42").await.unwrap().unwrap();
    let [event] = &*read(&database, Some(&master), "customer.moved").await else { panic!("one row") };
    assert_eq!((event.data.value(), event.actor.as_str()), (shown("[erased]"), "[erased]"));
    assert_eq!(event.context.as_ref().unwrap()["ip"], "192.0.2.7");
    database.is_unharmed().await;
}

/// The longest that others may wait for a row's key.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_row_in_a_transaction_is_taken_outside_of_it() {
    let (database, master) = with_customers().await;
    let audit = start(&database, &master);
    let begin = async || {
        let mut tx = database.pool.begin().await.unwrap();
        tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
        // The snapshot is older than the keys.
        tx.execute("SELECT count(*) FROM audit_keys").await.unwrap();
        tx
    };
    let (mut open, mut given_up, mut late) = (begin().await, begin().await, begin().await);
    audit.scope(create(&mut open, 42, MAIL, "555 42")).await.unwrap();
    audit.scope(create(&mut given_up, 43, MAIL, "555 43")).await.unwrap();
    audit.scope(create(&mut late, 44, MAIL, "555 44")).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM audit_keys").await, 4);
    // The writer needs the same keys, and waits for none of the three transactions.
    for subject in ["customer:42", "customer:43", "household:7"] {
        let event = Event::new("note.taken").personal(subject, &json!({"mail": MAIL}));
        soon(audit.record(event).unwrap().stored()).await.unwrap();
    }
    soon(database.admin().forget("customer:44")).await.unwrap().unwrap();
    open.commit().await.unwrap();
    given_up.rollback().await.unwrap();
    late.commit().await.unwrap();
    audit.flush().await.unwrap();
    holds_no_mail(&database).await;
    let events = read(&database, Some(&master), "customer.created").await;
    let shown: Vec<_> = events.iter().map(|event| (event.data["result"].clone(), event.data["mail"].clone())).collect();
    assert_eq!(shown, [(42.into(), MAIL.into()), (44.into(), "[erased]".into())]);
    let phones: Vec<_> = events.iter().map(|event| event.data["phone"].clone()).collect();
    assert_eq!(phones, ["555 42", "555 44"]);
    let actors: Vec<&str> = events.iter().map(|event| event.actor.as_str()).collect();
    assert_eq!(actors, ["login:ann@example.com", "[erased]"]);
    assert_eq!(events[0].data.get("$subject"), None);
    let notes = read(&database, Some(&master), "note.taken").await;
    assert!(notes.iter().all(|event| event.data["mail"] == MAIL) && notes.len() == 3, "{notes:#?}");
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_transactions_of_the_same_persons_and_the_writer_do_not_lock_each_other_out() {
    let (database, master) = with_customers().await;
    let audit = start(&database, &master);
    let calls = (0..40).map(|number| {
        let (audit, pool) = (&audit, &database.pool);
        async move {
            let event = Event::new("note.taken").personal(format!("customer:{}", number % 5), &json!({"mail": MAIL}));
            audit.record(event).unwrap();
            let mut tx = pool.begin().await.unwrap();
            audit.scope(create(&mut tx, number % 5, MAIL, "555")).await.unwrap();
            audit.scope(create(&mut tx, (number + 1) % 5, MAIL, "555")).await.unwrap();
            tx.commit().await.unwrap();
        }
    });
    soon(futures_util::future::join_all(calls)).await;
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let events = read(&database, Some(&master), "*").await;
    assert_eq!(events.len(), 120);
    assert!(events.iter().all(|event| event.data["mail"] == MAIL));
    assert_eq!(database.count("SELECT count(*) FROM audit_keys").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_function_returns_an_error_and_nothing_is_stored() {
    let (database, master) = with_customers().await;
    let audit = database.audit().postgres("postgres://127.0.0.1:1/x").master_key(master.clone()).start().unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    let error = audit.scope(create(&mut tx, 42, MAIL, "555")).await.unwrap_err().to_string();
    assert!(error.contains("the keys of personal values cannot be taken"), "{error}");
    tx.rollback().await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM customers").await, 0);
    database.abandon(audit).await;
    let audit = start(&database, &master);
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    // The caller's thread may outlive the trail.
    let mut tx = database.pool.begin().await.unwrap();
    let error = audit.scope(create(&mut tx, 42, MAIL, "555")).await.unwrap_err().to_string();
    assert!(error.contains("shut down"), "{error}");
    tx.rollback().await.unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    let audit = database.audit().start().unwrap();
    audit.scope(create(&mut tx, 42, MAIL, "555")).await.unwrap();
    tx.commit().await.unwrap();
    let events = read(&database, Some(&master), "customer.created").await;
    let stored: Vec<_> = events.iter().map(|event| (event.data["mail"].clone(), event.actor.as_str())).collect();
    assert!(
        stored.contains(&("[redacted]".into(), "[redacted]")) && !stored.iter().any(|(mail, _)| *mail == MAIL),
        "{stored:?}"
    );
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
}
