//! Garbage in the table of keys, for one subject, stalls nobody.

use super::server::Page;
use super::{LONG, as_superuser, change, run};
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Audit, Builder, MasterKey};
use std::time::{Duration, Instant};
use tests::{Database, RelayProcess, secret_file};
use uuid::Uuid;

/// Bytes that an owner of the tables may have put there: of the right length, short, empty, long.
const GARBAGE: [&str; 4] =
    ["sha256('x') || sha256('y') || '12345678'::bytea", "'\\x00'", "''", "convert_to(repeat('x', 300000), 'UTF8')"];

async fn with_garbage(database: &Database, subject: &str, garbage: &str) {
    let sql = format!(
        "INSERT INTO audit_keys (id, subject, wrapped) VALUES (gen_random_uuid(), '{subject}', {garbage}) \
         ON CONFLICT (subject) DO UPDATE SET wrapped = excluded.wrapped"
    );
    as_superuser(database, &sql).await;
}

/// The mails of a subject's events, as a reader with the key sees them.
async fn mails(database: &Database, master: &MasterKey) -> Vec<String> {
    let trail = Trail::new(database.pool.clone()).master_key(master.clone());
    let events = trail.events(&EventFilter::new().event("customer.changed")).await.unwrap().events;
    let mut mails: Vec<_> = events.iter().map(|event| event.data["mail"].as_str().unwrap().to_owned()).collect();
    mails.sort();
    mails
}

async fn writes_on(database: &Database, builder: Builder, garbage: &str) {
    let master = MasterKey::generate();
    with_garbage(database, "customer:poisoned", garbage).await;
    let audit = builder.master_key(master.clone()).start().unwrap();
    let begin = Instant::now();
    audit
        .scope(async {
            change("customer:1", "one@example.com");
            change("customer:poisoned", "poisoned@example.com");
            change("customer:2", "two@example.com");
        })
        .await;
    let report = audit.shutdown(LONG).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(120));
    assert_eq!((report.left_in_journal, audit.stats().rekeyed, audit.stats().retries), (0, 1, 0));
    // The poisoned subject has a further key, by which its own values are read.
    assert_eq!(mails(database, &master).await, ["one@example.com", "poisoned@example.com", "two@example.com"]);

    // That one is poisoned, too: its values are redacted, and those of the others are not.
    as_superuser(
        database,
        &format!("UPDATE audit_keys SET wrapped = {garbage} WHERE subject LIKE 'customer:poisoned_audit-key%'"),
    )
    .await;
    let again = database.audit().master_key(master.clone()).start().unwrap();
    again.scope(async { ["poisoned", "1"].map(|name| change(&format!("customer:{name}"), "late@example.com")) }).await;
    assert_eq!(again.shutdown(LONG).await.unwrap().left_in_journal, 0);
    let seen = mails(database, &master).await;
    assert_eq!(seen, ["[encrypted]", "[redacted]", "late@example.com", "one@example.com", "two@example.com"]);
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_writer_goes_on() {
    for garbage in GARBAGE {
        let database = Database::new().await;
        writes_on(&database, database.audit(), garbage).await;
    }
}

#[tokio::test]
async fn a_relay_hands_out_what_there_is_and_goes_on() {
    for garbage in GARBAGE {
        let database = Database::new().await;
        let relay = RelayProcess::start(&database.url);
        let behind = Audit::builder().relay(&relay.address()).journal(database.journals.path()).segment_bytes(1 << 20);
        writes_on(&database, behind, garbage).await;
    }
}

#[tokio::test]
async fn rows_in_a_callers_transaction_go_on() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    with_garbage(&database, "customer:poisoned", GARBAGE[1]).await;
    let audit = database.audit().master_key(master.clone()).start().unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    let events = ["poisoned", "1"].map(|name| {
        audit_runtime::Event::new("customer.changed")
            .personal(format!("customer:{name}"), &serde_json::json!({"mail": format!("{name}@example.com")}))
    });
    audit.record_in(&mut tx, events).await.unwrap();
    tx.commit().await.unwrap();
    audit.shutdown(LONG).await.unwrap();
    assert_eq!(mails(&database, &master).await, ["1@example.com", "poisoned@example.com"]);
}

#[tokio::test]
async fn the_exchange_and_the_page_pass_it_and_name_it() {
    let (database, directory) = (Database::new().await, tempfile::tempdir().unwrap());
    let (old, new) = (MasterKey::generate(), MasterKey::generate());
    let audit = database.audit().master_key(old.clone()).start().unwrap();
    audit.scope(async { ["1", "poisoned"].map(|name| change(&format!("customer:{name}"), "ann@example.com")) }).await;
    audit.shutdown(LONG).await.unwrap();
    with_garbage(&database, "customer:poisoned", GARBAGE[0]).await;
    let [old_file, new_file] =
        [("old", &old), ("new", &new)].map(|(name, key)| secret_file(directory.path(), name, key.secret()));
    let rotate = ["master-key", "rotate", &new_file, "--master-key", &old_file];
    for wrapped in ["1 key of a subject is", "0 keys of subjects are"] {
        let (code, said) = run(&database, &rotate);
        assert!(code == 1 && said.contains(wrapped) && said.contains("1 key is opened by neither"), "{said}");
    }
    let (code, said) = run(&database, &["master-key", "check", "--master-key", &new_file]);
    assert!(code == 1 && said.contains("customer:poisoned\n") && !said.contains("customer:1\n"), "{said}");
    let page = Page::start(&database, &["--master-key", &new_file]);
    let events = "SELECT id FROM audit_events WHERE event_type = 'customer.changed' ORDER BY created_at, id";
    let events: Vec<Uuid> = sqlx::query_scalar(events).fetch_all(&database.pool).await.unwrap();
    let shown = page.page(&format!("/event/{}/reveal?reason=support", events[0])).await;
    assert!(shown.contains("ann@example.com"), "{shown}");
    let shown = page.page(&format!("/event/{}/reveal?reason=support", events[1])).await;
    assert!(shown.contains("does not open"), "{shown}");
}
