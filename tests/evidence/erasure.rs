//! Personal values are encrypted before they are stored, and can be forgotten although rows stay as
//! they are.

use crate::independent;
use audit_runtime::evidence::SigningKey;
use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use audit_runtime::{Audit, AuditEvent, Builder, Event, Json, MasterKey, Outcome, audited};
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Executor;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tests::{Database, eventually};
use uuid::Uuid;

#[derive(Serialize)]
struct Address {
    street: &'static str,
    number: u32,
}

#[audited(
    event = "account.opened", subject = format_args!("customer:{customer}"), personal(email, address, ssn, result, born),
    fields(born = "1990-01-02"), intent,
)]
async fn open(
    account_id: Uuid,
    customer: u32,
    email: &str,
    address: &Address,
    ssn: &str,
    cents: u64,
) -> Result<String, std::io::Error> {
    if cents == 0 {
        std::future::pending::<()>().await;
    }
    Ok(format!("welcome {email}"))
}

#[derive(AuditEvent, Serialize)]
#[audit(event = "account.closed", entity = "account", id = account_id, subject = customer)]
struct AccountClosed {
    account_id: Uuid,
    #[audit(skip)]
    customer: String,
    #[audit(personal)]
    email: String,
    #[audit(personal, ?)]
    phone: Option<u32>,
    price: f64,
}

const ANN: [&str; 6] = ["ann@example.com", "Elm Street", "078-05-1120", "welcome ann", "1990-01-02", "555123"];

async fn open_account(audit: &Audit, customer: u32, email: &str) {
    let address = Address { street: "Elm Street", number: 7 };
    audit.scope(open(Uuid::now_v7(), customer, email, &address, "078-05-1120", 995)).await.unwrap();
}

fn close_account(audit: &Audit, customer: u32) {
    let (customer, email) = (format!("customer:{customer}"), "ann@example.com".into());
    audit
        .record(AccountClosed { account_id: Uuid::now_v7(), customer, email, phone: Some(555_123), price: 1.10 })
        .unwrap();
}

fn builder(database: &Database, master: &MasterKey) -> Builder {
    database.audit().master_key(master.clone())
}

async fn read(trail: &Trail) -> Vec<TrailEvent> {
    trail.stream(EventFilter::new()).try_collect().await.unwrap()
}

/// Everything that the database holds, as text.
async fn all(database: &Database) -> String {
    sqlx::query_scalar(
        "SELECT concat((SELECT string_agg(e::text, ' ') FROM audit_events e), (SELECT string_agg(encode(payload, 'escape') || error, ' ') \
         FROM audit_quarantine), (SELECT string_agg(k::text, ' ') FROM audit_keys k))",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap()
}

async fn holds_nothing_of_ann(database: &Database) {
    let all = all(database).await;
    for text in ANN {
        assert!(!all.contains(text), "{text}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_subject_is_erased_and_everything_verifies() {
    let database = Database::new().await;
    let (master, key) = (MasterKey::generate(), SigningKey::generate("test").unwrap());
    let audit = builder(&database, &master).start().unwrap();
    open_account(&audit, 42, "ann@example.com").await;
    open_account(&audit, 43, "bob@example.com").await;
    close_account(&audit, 42);
    let event = Event::new("note.taken").data(&json!({"x": 1}));
    audit.record(event.personal("customer:42", &json!({"text": "ann@example.com called", "n": 1.5}))).unwrap();
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    holds_nothing_of_ann(&database).await;
    let saved = database.admin().checkpoint(&key).await.unwrap().note;
    assert_eq!(database.count("SELECT count(*) FROM audit_keys").await, 2);

    let (trail, reader) =
        (Trail::new(database.pool.clone()).master_key(master.clone()), Trail::new(database.pool.clone()));
    let expected = json!({
        "account_id": 0, "customer": 42, "email": "ann@example.com", "address": {"street": "Elm Street", "number": 7},
        "ssn": "078-05-1120", "born": "1990-01-02", "cents": 995, "result": "welcome ann@example.com",
    });
    let by_type = |events: &[TrailEvent], kind: &str, outcome: Outcome| -> Value {
        let found = events.iter().find(|event| event.event_type == kind && event.outcome == outcome);
        let mut data = found.unwrap().data.value();
        if data.get("account_id").is_some() {
            data["account_id"] = json!(0);
        }
        data
    };
    let events = read(&trail).await;
    assert_eq!(events.len(), 6);
    assert_eq!(by_type(&events, "account.opened", Outcome::Ok), expected);
    let mut intent = expected.clone();
    intent.as_object_mut().unwrap().remove("result");
    assert_eq!(by_type(&events, "account.opened", Outcome::Started), intent);
    let closed = json!({"account_id": 0, "email": "ann@example.com", "phone": "Some(555123)", "price": 1.1});
    assert_eq!(by_type(&events, "account.closed", Outcome::Ok), closed);
    let note = json!({"x": 1, "text": "ann@example.com called", "n": 1.5});
    assert_eq!(by_type(&events, "note.taken", Outcome::Ok), note);
    let hidden = by_type(&read(&reader).await, "account.closed", Outcome::Ok);
    assert_eq!(hidden, json!({"account_id": 0, "email": "[encrypted]", "phone": "[encrypted]", "price": 1.1}));
    let other = Trail::new(database.pool.clone()).master_key(MasterKey::generate());
    assert_eq!(by_type(&read(&other).await, "account.closed", Outcome::Ok), hidden);

    if let Some(read) = independent::personal(&database, &master) {
        assert_eq!(read.len(), 22, "{read:#?}");
        for (id, name, value, is_nonce) in read {
            let event = events.iter().find(|event| event.id == id).unwrap();
            assert_eq!((&event.data[&name], is_nonce), (&value.into(), true));
        }
    }
    let forgotten = database.admin().actor("dpo").forget("customer:42").await.unwrap().unwrap();
    assert!(forgotten.is_rewritten);
    assert_eq!(database.admin().forget("customer:42").await.unwrap(), None);
    assert_eq!(database.admin().forget("nobody").await.unwrap(), None);
    for trail in [&trail, &reader] {
        let events = read(trail).await;
        let erased = json!({"account_id": 0, "email": "[erased]", "phone": "[erased]", "price": 1.1});
        assert_eq!(by_type(&events, "account.closed", Outcome::Ok), erased);
        let told = events.iter().find(|event| event.event_type == "audit.forgotten").unwrap();
        assert_eq!((told.actor.as_str(), &told.data["key"]), ("dpo", &json!(forgotten.key).into()));
    }
    let bob = read(&trail).await.into_iter().find(|event| event.data["customer"] == 43).unwrap();
    assert_eq!(bob.data["email"], "bob@example.com");
    assert!(!all(&database).await.contains("customer:42"));
    let (findings, report) = database.verify(Some(key.public()), &[saved]).await;
    assert_eq!((report.problems, report.rows), (0, 6), "{findings:#?}");

    // A subject that returns has a new key, and its erased values stay erased.
    let audit = builder(&database, &master).start().unwrap();
    close_account(&audit, 42);
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let mut emails: Vec<Json> = read(&trail)
        .await
        .into_iter()
        .filter(|event| event.event_type == "account.closed")
        .map(|event| event.data["email"].clone())
        .collect();
    emails.sort_by_key(Json::to_string);
    assert_eq!(emails, ["[erased]", "ann@example.com"]);
    database.is_unharmed().await;
    // The owner of the tables cannot bring a key back, nor remove one.
    for sql in [
        "UPDATE audit_keys SET wrapped = '\\x00' WHERE wrapped IS NOT NULL",
        "UPDATE audit_keys SET destroyed_at = NULL, subject = 'x', wrapped = '\\x00' WHERE destroyed_at IS NOT NULL",
        "DELETE FROM audit_keys",
        "TRUNCATE audit_keys",
    ] {
        let refused = database.pool.execute(sql).await.unwrap_err().to_string();
        assert!(refused.contains("is refused"), "{sql}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_writers_share_the_key_of_a_subject() {
    let database = Database::new().await;
    let master = MasterKey::generate();
    let writing = (0..4).map(|_| async {
        let audit = builder(&database, &master).batch_rows(7).start().unwrap();
        (0..100).for_each(|number| close_account(&audit, number % 10));
        audit.shutdown(Duration::from_secs(60)).await.unwrap();
    });
    futures_util::future::join_all(writing).await;
    assert_eq!(database.count("SELECT count(*) FROM audit_keys").await, 10);
    let events = read(&Trail::new(database.pool.clone()).master_key(master)).await;
    assert_eq!(events.len(), 400);
    assert!(events.iter().all(|event| event.data["email"] == "ann@example.com"));
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_journal_is_private_to_its_user_and_its_shipper_encrypts_it() {
    let database = Database::new().await;
    let master = MasterKey::generate();
    let nowhere = || builder(&database, &master).postgres("postgres://127.0.0.1:1/x");
    let audit = nowhere().start().unwrap();
    close_account(&audit, 42);
    open_account(&audit, 42, "ann@example.com").await;
    database.abandon(audit).await;
    let mut files = 0;
    let journals = std::fs::read_dir(database.journals.path()).unwrap().flatten();
    for journal in journals.filter(|entry| entry.path().is_dir()) {
        assert_eq!(journal.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        for file in std::fs::read_dir(journal.path()).unwrap().flatten() {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
            files += 1;
        }
    }
    assert!(files >= 2);
    let waits = audit_runtime::admin::journals(database.journals.path()).unwrap();
    assert_eq!((waits[0].events, waits[0].personal), (3, 3));
    // A process without the master key leaves it.
    let without = database.audit().start().unwrap();
    without.record(Event::new("a.thing")).unwrap();
    without.flush().await.unwrap();
    without.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!((database.events().await, database.journal_directories()), (1, 1));
    let with = builder(&database, &master).start().unwrap();
    eventually("it is shipped", async || database.events().await == 4).await;
    with.shutdown(Duration::from_secs(60)).await.unwrap();
    holds_nothing_of_ann(&database).await;
    let events = read(&Trail::new(database.pool.clone()).master_key(master)).await;
    assert_eq!(events.iter().filter(|event| event.data["email"] == "ann@example.com").count(), 3);
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_interrupted_and_a_row_that_is_refused_hold_nothing_readable() {
    let database = Database::new().await;
    let master = MasterKey::generate();
    database
        .pool
        .execute("ALTER TABLE audit_events ADD CONSTRAINT none_closed CHECK (event_type <> 'account.closed')")
        .await
        .unwrap();
    let audit = builder(&database, &master).start().unwrap();
    close_account(&audit, 42);
    let address: &'static Address = &Address { street: "Elm Street", number: 7 };
    let call = tokio::spawn(audit.scope(open(Uuid::now_v7(), 42, "ann@example.com", address, "078-05-1120", 0)));
    eventually("the intent is there", async || database.events().await == 1).await;
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    call.abort();
    assert_eq!(database.count("SELECT count(*) FROM audit_quarantine").await, 1);
    holds_nothing_of_ann(&database).await;
    let events = read(&Trail::new(database.pool.clone()).master_key(master.clone())).await;
    if let Some(read) = independent::personal(&database, &master) {
        assert_eq!(read.iter().filter(|(_, _, _, is_nonce)| *is_nonce).count(), 8, "{read:#?}");
    }
    let interrupted = events.iter().find(|event| event.outcome == Outcome::Interrupted).unwrap();
    assert_eq!(interrupted.data["email"], "ann@example.com");
    let report = database.is_unharmed().await;
    assert_eq!((report.rows, report.quarantined), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_master_key_personal_values_are_redacted() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    close_account(&audit, 42);
    open_account(&audit, 42, "ann@example.com").await;
    audit.record(Event::new("note.taken").personal("customer:42", &json!({"text": "ann@example.com"}))).unwrap();
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    holds_nothing_of_ann(&database).await;
    assert!(!all(&database).await.contains("customer:42"));
    let events = read(&Trail::new(database.pool.clone())).await;
    assert_eq!(events.len(), 4);
    for event in events {
        let name = if event.event_type == "note.taken" { "text" } else { "email" };
        assert_eq!(event.data[name], "[redacted]", "{event:?}");
        assert_eq!(event.data.get("$subject"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_master_key_events_are_stored_and_read_by_whoever_has_that_key() {
    let database = Database::new().await;
    let (right, wrong) = (MasterKey::generate(), MasterKey::generate());
    for master in [&right, &wrong, &right, &wrong] {
        let audit = builder(&database, master).start().unwrap();
        close_account(&audit, 42);
        let report = audit.shutdown(Duration::from_secs(60)).await.unwrap();
        assert_eq!(report.left_in_journal, 0);
    }
    for (master, shown) in [(right, [true, false, true, false]), (wrong, [false, true, false, true])] {
        let events = read(&Trail::new(database.pool.clone()).master_key(master)).await;
        let is_shown: Vec<bool> = events.iter().map(|event| event.data["email"] != "[encrypted]").collect();
        assert_eq!(is_shown, shown, "{events:#?}");
    }
    // The subject has a key of its own and a further one, and both are forgotten.
    assert_eq!(database.count("SELECT count(*) FROM audit_keys WHERE subject IS NOT NULL").await, 2);
    database.admin().forget("customer:42").await.unwrap().unwrap();
    assert_eq!(database.count("SELECT count(*) FROM audit_keys WHERE subject IS NOT NULL").await, 0);
    let events = read(&Trail::new(database.pool.clone())).await;
    assert_eq!(
        events.iter().filter(|event| event.data.get("email").is_some_and(|email| email == "[erased]")).count(),
        4
    );
    database.is_unharmed().await;
}
