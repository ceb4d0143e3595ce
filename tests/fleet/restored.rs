//! A base backup takes the place of a database that is gone.

use super::failover::{replay, sent, text};
use super::relay::behind;
use super::steady::Steady;
use audit_runtime::evidence::{FindingKind, SigningKey};
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Event, MasterKey, audited};
use std::time::Duration;
use tests::{Cluster, Config, Database, RelayProcess, eventually};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_copies_a_saved_checkpoint_names_what_a_backup_lacks() {
    let mut cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let key = SigningKey::generate("trail.example").unwrap();
    let store = async |audit: &audit_runtime::Audit| {
        for _ in 0..5 {
            audit.record(Event::new("order.submitted")).unwrap().stored().await.unwrap();
        }
    };
    let audit = database.audit().start().unwrap();
    store(&audit).await;
    let first = database.admin().checkpoint(&key).await.unwrap();
    let backup = cluster.base_backup();
    store(&audit).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    let last = database.admin().checkpoint(&key).await.unwrap();
    database.pool.close().await;
    cluster.kill();
    let restored = backup.run();
    let database = database.moved_to(&restored);

    // Nothing in the database tells: the journal's last batches are gone with all that names them.
    let (findings, report) = database.verify(Some(key.public()), &[]).await;
    assert_eq!(report.problems, 0, "{findings:?}");
    let (findings, _) = database.verify(Some(key.public()), &[first.note, last.note]).await;
    let problems: Vec<_> = findings.iter().filter(|finding| finding.is_problem()).collect();
    assert_eq!(problems.len(), 1, "{findings:?}");
    let told = &problems[0].text;
    assert_eq!(problems[0].kind, FindingKind::Checkpoint);
    for part in [
        format!("it covers {} batches, and {} are left", last.batches, first.batches),
        format!("both agree up to {} batches, at {}", first.batches, first.time),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_brings_back_what_a_backup_lacks_by_way_of_a_relay_too() {
    let mut cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let mut relay = RelayProcess::start(&database.url);
    let audit = behind(&relay.address(), database.journals.path()).batch_rows(20).keep_for(HOUR).start().unwrap();
    let calls = Steady::begin(&audit);
    eventually("events are stored", || async { database.events().await > 100 }).await;
    let backup = cluster.base_backup();
    let before = database.events().await;
    eventually("events are stored behind the backup", || async { database.events().await > before + 200 }).await;
    let made = calls.end(&audit).await;
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!(database.journal_directories(), 1, "only copies are left");
    database.pool.close().await;
    relay.kill();
    cluster.kill();
    let restored = backup.run();
    let database = database.moved_to(&restored);
    assert!(database.events().await < made.len() as i64);

    let relay = RelayProcess::start(&database.url);
    let replayed = replay(&database, &["--relay", &relay.address()]).output().unwrap();
    assert!(sent(&replayed) > 0);
    tests::calls::have_a_row_each(&made, &database).await;
    assert_eq!(sent(&replay(&database, &[]).output().unwrap()), 0);
    let later = replay(&database, &["--since", "1s"]).output().unwrap();
    assert!(text(&later).contains("kept"), "{}", text(&later));
}

#[tokio::test]
async fn a_batch_whose_place_another_has_is_named_and_stops_no_other() {
    let cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let backup = cluster.base_backup();
    let audit = database.audit().keep_for(HOUR).start().unwrap();
    for _ in 0..3 {
        audit.record(Event::new("order.submitted")).unwrap().stored().await.unwrap();
    }
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    let (journal, first): (uuid::Uuid, i64) =
        sqlx::query_as("SELECT journal_id, first_position FROM audit_batches ORDER BY first_position DESC LIMIT 1")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    database.pool.close().await;
    let restored = backup.run();
    let database = database.moved_to(&restored);
    sqlx::query(
        "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, root, leaves, previous_position, previous_root) \
         VALUES (gen_random_uuid(), $1, $2, $2 + 8, 0, 'somebody', decode(repeat('ab', 32), 'hex'), '', $2 - 1, decode(repeat('cd', 32), 'hex'))",
    )
    .bind(journal)
    .bind(first)
    .execute(&database.pool)
    .await
    .unwrap();
    let replayed = replay(&database, &[]).output().unwrap();
    let told = text(&replayed);
    assert_eq!(replayed.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("position {first} of journal {journal}")) && told.contains("somebody"), "{told}");
    assert!(told.contains("3 batches kept") && told.contains("2 of them sent again with 2 events"), "{told}");
    assert_eq!(database.events().await, 2);
}

#[audited(event = "customer.changed", id = none, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {}

#[tokio::test]
async fn personal_values_are_readable_again_with_the_keys_that_the_backup_lacks() {
    let cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let backup = cluster.base_backup();
    let master = MasterKey::generate();
    let start = |database: &Database| database.audit().master_key(master.clone()).keep_for(HOUR).start().unwrap();
    let audit = start(&database);
    audit.scope(async { change("customer:42", "ann@example.com") }).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    let kept = std::fs::read_dir(database.journals.path().join("kept")).unwrap().flatten();
    let bytes: Vec<u8> = kept.flat_map(|file| std::fs::read(file.path()).unwrap()).collect();
    assert!(!bytes.is_empty() && !bytes.windows(7).any(|bytes| bytes == b"example"), "no value is kept in clear");
    database.pool.close().await;
    let restored = backup.run();
    let database = database.moved_to(&restored);
    // The subject gets another key before the replay brings the first one back.
    let audit = start(&database);
    audit.scope(async { change("customer:42", "ann@example.org") }).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    for _ in 0..2 {
        sent(&replay(&database, &[]).output().unwrap());
    }
    let trail = Trail::new(database.pool.clone()).master_key(master);
    let mails = async || {
        let events = trail.events(&EventFilter::new()).await.unwrap().events;
        let mut mails: Vec<String> = events.iter().map(|event| event.data["mail"].to_string()).collect();
        mails.sort();
        mails
    };
    assert_eq!(mails().await, ["\"ann@example.com\"", "\"ann@example.org\""]);
    // Both are forgotten, and no replay brings a key back that was destroyed.
    database.admin().forget("customer:42").await.unwrap().unwrap();
    assert_eq!(sent(&replay(&database, &[]).output().unwrap()), 0);
    let events = trail.events(&EventFilter::new()).await.unwrap().events;
    let erased = events.iter().filter(|event| event.data["mail"] == "[erased]").count();
    assert_eq!(erased, 2, "{events:?}");
    database.is_unharmed().await;
}
