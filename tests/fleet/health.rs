//! `Audit::health`: what the probes of a service ask.

use audit_runtime::{Audit, Event, Health, LastResort, Overflow, Reason};
use serde_json::json;
use std::time::Duration;
use tests::{Database, eventually};

const SEGMENT: usize = 64 << 10;

/// A journal that is full after a few hundred events.
fn small(database: &Database) -> Audit {
    let builder = database.audit().segment_bytes(SEGMENT).data_limit(SEGMENT / 4).journal_limit(2 * SEGMENT);
    builder.overflow(Overflow::Refuse).start().unwrap()
}

fn is(health: &Health, reason: impl Fn(&Reason) -> bool) -> bool {
    health.reasons().iter().any(reason)
}

async fn shut_down(audit: &Audit) {
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn a_trail_stays_ready_while_postgresql_is_away_until_its_journal_is_full() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let audit = small(&database);
    assert_eq!((audit.health(), audit.health().to_string()), (Health::Healthy, "healthy".into()));
    audit.record(Event::new("order.accepted")).unwrap();
    eventually("the writer notices", async || matches!(audit.health(), Health::Degraded(_))).await;
    let health = audit.health();
    assert!(health.is_ready() && is(&health, |reason| matches!(reason, Reason::NotStored { .. })), "{health}");
    assert!(health.to_string().starts_with("degraded: PostgreSQL does not store the events"), "{health}");

    let event = || Event::new("order.accepted").data(&json!({"text": "x".repeat(1_000)}));
    let mut fills = Vec::new();
    // The housekeeper may notice before an event is refused.
    while audit.health().is_ready() || audit.stats().refused == 0 {
        // Refusing is seen by the probe, and not by the housekeeper alone.
        if audit.record(event()).is_ok() {
            fills.push(audit.stats().journal_fill());
        }
    }
    let health = audit.health();
    assert!(matches!(&health.reasons()[0], Reason::JournalFull { limit } if *limit == 2 * SEGMENT as u64), "{health}");
    assert!(health.reasons()[0].refuses() && health.to_string().starts_with("refusing events: the journal is full"));
    assert!(is(&health, |reason| matches!(reason, Reason::Refused { events } if *events > 0)), "{health}");
    assert!(fills.is_sorted() && fills.last().is_some_and(|fill| *fill > 0.9), "{fills:?}");
    let stats = audit.stats();
    assert_eq!((stats.journal_limit, stats.refused_last_minute), (2 * SEGMENT as u64, stats.refused));
    assert!(stats.journal_used <= stats.journal_bytes && stats.lag > Duration::ZERO, "{stats:?}");

    cluster.up();
    database.reconnect();
    eventually("the journal is shipped", async || audit.stats().pending == 0).await;
    let health = audit.health();
    // The refusals of the last minute stay.
    assert!(
        health.is_ready() && health.reasons().iter().all(|reason| matches!(reason, Reason::Refused { .. })),
        "{health}"
    );
    assert!(audit.stats().journal_fill() < 0.8);
    shut_down(&audit).await;
    assert_eq!(audit.health(), Health::Refusing(vec![Reason::ShutDown, Reason::Refused { events: stats.refused }]));
}

#[tokio::test]
async fn a_journal_that_fills_degrades_before_it_refuses() {
    let (_cluster, database) = Database::out_of_reach().await;
    // Callers claim 16 KiB at once, which is a sixtieth of it.
    let audit = database.audit().segment_bytes(256 << 10).journal_limit(1 << 20).start().unwrap();
    let event = || Event::new("order.accepted").data(&json!({"text": "x".repeat(500)}));
    let mut filling = None;
    while audit.record(event()).is_ok() {
        let health = audit.health();
        let found = health.reasons().iter().find_map(|reason| match reason {
            Reason::JournalFilling { used, limit } => Some((*used, *limit)),
            _ => None,
        });
        if filling.is_none() && found.is_some() {
            assert!(health.is_ready(), "{health}");
            filling = found;
        }
    }
    let (used, limit) = filling.unwrap();
    // One claim at most beyond 80 percent.
    assert!((80..84).contains(&(used * 100 / limit)), "{used} of {limit}");
    audit.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn journals_of_dead_processes_and_a_missing_key_are_reasons() {
    let database = Database::new().await;
    database.orphan(3).await;
    let nowhere = database.audit().postgres("postgres://nobody@127.0.0.1:1/nothing").start().unwrap();
    eventually("the journal is found", async || {
        is(&nowhere.health(), |reason| matches!(reason, Reason::InheritedJournals { journals: 1 }))
    })
    .await;
    nowhere.shutdown(Duration::ZERO).await.unwrap();

    let audit = database.audit().start().unwrap();
    eventually("the journals are adopted", async || database.journal_directories() == 1).await;
    eventually("that is counted", async || audit.stats().inherited_journals == 0).await;
    assert_eq!(audit.health(), Health::Healthy);
    let event = Event::new("mail.sent").personal("customer:42", &json!({"to": "ann@example.com"}));
    audit.record(event).unwrap().stored().await.unwrap();
    assert_eq!((audit.health(), audit.stats().redacted), (Health::Degraded(vec![Reason::MissingMasterKey]), 1));
    shut_down(&audit).await;
}

#[tokio::test]
async fn a_journal_that_cannot_be_synced_is_not_ready() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    assert_eq!(audit.health(), Health::Healthy);
    let away = tempfile::tempdir().unwrap();
    let journal = std::fs::read_dir(database.journals.path()).unwrap().flatten().find(|entry| entry.path().is_dir());
    let (journal, aside) = (journal.unwrap().path(), away.path().join("aside"));
    std::fs::rename(&journal, &aside).unwrap();
    eventually("the sync fails", async || audit.health() == Health::Refusing(vec![Reason::NotSynced])).await;
    std::fs::rename(&aside, &journal).unwrap();
    eventually("the sync succeeds", async || audit.health() == Health::Healthy).await;
    shut_down(&audit).await;
}

#[tokio::test]
async fn a_last_resort_needs_a_journal_on_a_disk_and_time() {
    let builder = Audit::builder().postgres("postgres://h/x").memory();
    let error = builder.last_resort(LastResort::file("/x").within(Duration::ZERO)).start().unwrap_err().to_string();
    for part in ["last_resort packs the journal's directory", "the time of last_resort is zero"] {
        assert!(error.contains(part), "{error}");
    }
}
