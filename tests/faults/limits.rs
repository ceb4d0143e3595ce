//! Tests a lack of room: the journal's limit, a full disk, memory.

use audit_runtime::trail::Trail;
use audit_runtime::{Audit, Context, Event, Overflow, RecordError, audited};
use sqlx::Row;
use std::time::{Duration, Instant};
use tests::again::{again, is_again};
use tests::{Database, SmallDisk, eventually};
use uuid::Uuid;

#[audited(event = "order.submitted", id = None::<Uuid>)]
fn submit(number: u64, padding: &str) -> u64 {
    number
}

/// An event that does not fit where others did not.
fn large() -> Event {
    Event::new("order.submitted").data(&serde_json::json!({"padding": "x".repeat(1_000)}))
}

/// Records until so many were refused, and returns how many were accepted.
fn fill(audit: &Audit, refusals: u64) -> u64 {
    let padding = "x".repeat(500);
    let _entered = audit.enter();
    let mut number = 0;
    while audit.stats().refused < refusals {
        assert_eq!(submit(number, &padding), number, "the call proceeds");
        number += 1;
    }
    let stats = audit.stats();
    assert_eq!(stats.recorded, number);
    number - stats.refused
}

/// The one gap reports the refused events, and rows and counts agree.
async fn one_gap(audit: &Audit, database: &Database, taken: u64, began: chrono::DateTime<chrono::Utc>) {
    eventually("the gap is on record", || async {
        audit.flush().await.unwrap();
        database.count("SELECT count(*) FROM audit_events WHERE event_type = 'audit.gap'").await == 1
    })
    .await;
    let stats = audit.stats();
    let row = sqlx::query("SELECT data, entity_id, actor, context FROM audit_events WHERE event_type = 'audit.gap'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let whose: (String, Option<serde_json::Value>) = (row.get("actor"), row.get("context"));
    assert_eq!(whose, ("audit".into(), None), "it takes nothing from whoever finds it over");
    let data: serde_json::Value = row.get("data");
    assert_eq!(data["count"], stats.refused);
    assert_eq!(data["event_types"], serde_json::json!({"order.submitted": stats.refused}));
    let time = |key: &str| data[key].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(began <= time("first_at") && time("first_at") <= time("last_at") && time("last_at") <= chrono::Utc::now());
    let trail = Trail::new(database.pool.clone()).entity("journal", row.get::<Uuid, _>("entity_id")).await.unwrap();
    assert_eq!(trail.len(), 1);
    let calls = database.count("SELECT count(*) FROM audit_events WHERE event_type = 'order.submitted'").await;
    assert_eq!(calls.cast_unsigned(), taken);
}

#[tokio::test]
async fn at_its_limit_the_journal_refuses_counts_and_tells_once() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let audit = database.audit().journal_limit(3 << 20).start().unwrap();
    let began = chrono::Utc::now();
    let taken = fill(&audit, 1_000);
    assert_eq!(audit.record(large()).unwrap_err(), RecordError::JournalFull);
    assert!(audit.stats().journal_bytes <= 3 << 20);
    cluster.up();
    database.reconnect();
    // A call that finds the gap to be over, in a context of its own.
    let in_context = Context::new().actor("ann").attribute("tenant", "acme");
    eventually("there is room", || async {
        let _inside = in_context.clone().enter();
        audit.record(Event::new("order.accepted")).is_ok()
    })
    .await;
    one_gap(&audit, &database, taken, began).await;
    // It accepts events as ever, and has nothing more to report.
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE event_type = 'audit.gap'").await, 1);
}

#[tokio::test]
async fn callers_can_wait_for_room_instead() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let overflow = Overflow::Wait(Duration::from_secs(60));
    let audit = database.audit().journal_limit(2 << 20).overflow(overflow).start().unwrap();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let audit = audit.clone();
            std::thread::spawn(move || {
                let _entered = audit.enter();
                for number in 0..4_000 {
                    submit(number, &"x".repeat(500));
                }
            })
        })
        .collect();
    eventually("the journal is full", || async { audit.stats().journal_bytes == 2 << 20 }).await;
    cluster.up();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    audit.flush().await.unwrap();
    database.reconnect();
    assert_eq!((audit.stats().refused, database.events().await), (0, 12_000));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_wait_for_room_ends_in_time() {
    let (_cluster, database) = Database::out_of_reach().await;
    let overflow = Overflow::Wait(Duration::from_millis(50));
    let audit = database.audit().journal_limit(2 << 20).overflow(overflow).start().unwrap();
    let begin = Instant::now();
    fill(&audit, 3);
    assert!(begin.elapsed() > Duration::from_millis(150), "three waits");
    audit.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_a_refusal_and_not_the_end() {
    let Some(disk) = SmallDisk::mount(4 << 20) else { return };
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let audit = database.audit().journal(disk.path()).journal_limit(64 << 20).start().unwrap();
    let began = chrono::Utc::now();
    let taken = fill(&audit, 1_000);
    assert_eq!(audit.record(large()).unwrap_err(), RecordError::Disk);
    cluster.up();
    database.reconnect();
    one_gap(&audit, &database, taken, began).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_an_error_that_says_so() {
    let Some(disk) = SmallDisk::mount(64 << 10) else { return };
    let audit = Audit::builder().postgres("postgres://127.0.0.1:1/x").journal(disk.path()).start();
    let error = audit.unwrap_err().to_string();
    assert!(error.contains("free some space") && error.contains("No space left"), "{error}");
}

/// Bytes of memory that are this process's alone.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

const MEMORY: &str = "limits::two_million_events_while_postgres_is_away_take_no_memory";
const EVENTS: u64 = 2_000_000;

#[test]
fn two_million_events_while_postgres_is_away_take_no_memory() {
    if !is_again(MEMORY) {
        // In a process of its own: other tests' memory is not this one's.
        let output = again(MEMORY).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let journals = tempfile::tempdir().unwrap();
    let audit = Audit::builder()
        .postgres("postgres://127.0.0.1:1/x")
        .journal(journals.path())
        .journal_limit(4 << 30)
        .start()
        .unwrap();
    let _entered = audit.enter();
    submit(0, "");
    let before = anonymous_bytes();
    for number in 1..EVENTS {
        submit(number, "");
    }
    let grown = anonymous_bytes().saturating_sub(before);
    let stats = audit.stats();
    assert_eq!((stats.pending, stats.refused), (EVENTS, 0));
    assert!(stats.journal_bytes > 200 << 20, "{stats:?}");
    println!("grown by {} KiB", grown / 1024);
    assert!(grown < 24 << 20, "anonymous memory has grown by {grown} bytes");
}
