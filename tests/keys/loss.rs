//! A master key that is lost: what is lost with it, and what is not.

use super::server::Page;
use super::{LONG, change, command, ended, run};
use audit_runtime::MasterKey;
use audit_runtime::admin::Role;
use sqlx::{AssertSqlSafe, Executor};
use tests::{Database, secret_file};
use uuid::Uuid;

/// Two subjects under a key that is lost, and one under the key that is left.
async fn scene() -> (Database, tempfile::TempDir, MasterKey, String) {
    let (database, directory) = (Database::new().await, tempfile::tempdir().unwrap());
    let (lost, left) = (MasterKey::generate(), MasterKey::generate());
    for (key, subjects) in [(&lost, &["customer:1", "customer:2"][..]), (&left, &["customer:3"])] {
        let audit = database.audit().master_key(key.clone()).start().unwrap();
        audit.scope(async { subjects.iter().for_each(|subject| change(subject, "ann@example.com")) }).await;
        audit.shutdown(LONG).await.unwrap();
    }
    let path = secret_file(directory.path(), "left", left.secret());
    (database, directory, lost, path)
}

#[tokio::test]
async fn the_command_names_the_subjects_whose_values_are_lost_and_what_is_intact() {
    let (database, _directory, lost, left) = scene().await;
    let (code, said) = run(&database, &["master-key", "check", "--master-key", &left]);
    assert_eq!(code, 1, "{said}");
    for part in [
        "opened        1 key by",
        "lost          2 keys",
        &format!("2 keys with the master key id {}", lost.id()),
        "customer:1\n",
        "customer:2\n",
        "personal values of 2 subjects cannot be read",
        "the values of the other 1 key, all rows, seals and proofs are intact",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("customer:3"), "{said}");
    // Those who read are told too, and see the rest.
    let (code, said) = run(&database, &["events", "--output", "ndjson", "--master-key", &left]);
    assert!(code == 0 && said.contains("ann@example.com"), "{said}");
    assert!(said.contains("2 events have personal values that the master key does not open"), "{said}");
    assert!(said.contains("audit-trail master-key check"), "{said}");
    let (_, said) = run(&database, &["events", "--output", "ndjson"]);
    assert!(!said.contains("master key"), "nobody asked for personal values: {said}");
    database.is_unharmed().await;

    // Found again, it opens everything.
    let mut found =
        command(&database, &["master-key", "check", "--master-key", &left, "--master-key", "|echo \"$LOST\""]);
    let (code, said) = ended(&found.env("LOST", lost.secret()).output().unwrap());
    assert!(code == 0 && said.contains("older         2 keys") && said.contains("lost          nothing"), "{said}");
}

#[tokio::test]
async fn a_reader_learns_how_many_keys_are_lost_and_not_whose() {
    let (database, _directory, lost, left) = scene().await;
    let name = format!("reader_{}", Uuid::now_v7().simple());
    database.pool.execute(AssertSqlSafe(format!("CREATE ROLE {name} LOGIN"))).await.unwrap();
    database.admin().grant(Role::Reader, &name).await.unwrap();
    let mut check = command(&database, &["master-key", "check", "--master-key", &left]);
    check.env("DATABASE_URL", database.url.replace("postgres://postgres@", &format!("postgres://{name}@")));
    let (code, said) = ended(&check.output().unwrap());
    assert!(code == 1 && said.contains("lost          2 keys") && said.contains(&lost.id()), "{said}");
    assert!(!said.contains("customer:") && said.contains("connect as the owner"), "{said}");
}

#[tokio::test]
async fn the_page_tells_what_its_key_does_not_open() {
    let (database, _directory, lost, left) = scene().await;
    let events = "SELECT id FROM audit_events WHERE event_type = 'customer.changed' ORDER BY created_at";
    let events: Vec<Uuid> = sqlx::query_scalar(events).fetch_all(&database.pool).await.unwrap();
    let page = Page::start(&database, &["--master-key", &left]);
    let shown = page.page(&format!("/event/{}/reveal?reason=support+case", events[0])).await;
    assert!(shown.contains("master key does not open") && shown.contains("2 keys are not opened"), "{shown}");
    let shown = page.page(&format!("/event/{}/reveal?reason=support+case", events[2])).await;
    assert!(shown.contains("ann@example.com") && !shown.contains("does not open"), "{shown}");
    let problems = page.json("/status.json").await["problems"].to_string();
    assert!(problems.contains("all rows, seals and proofs are intact") && problems.contains(&lost.id()), "{problems}");
    // A page without a key promises nothing.
    let page = Page::start(&database, &[]);
    assert!(!page.json("/status.json").await["problems"].to_string().contains("master key"));
}
