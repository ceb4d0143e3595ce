//! A directory's bytes are bounded, those of dead processes included.

use audit_runtime::{Builder, Event, RecordError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tests::{Database, eventually};

const LIMIT: u64 = 4 << 20;

fn bounded(database: &Database) -> Builder {
    database.audit().directory_limit(LIMIT as usize).adopt_every(Duration::from_millis(100))
}

/// Bytes that all journals take on the disk.
fn bytes(directory: &Path) -> u64 {
    let journals = std::fs::read_dir(directory).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let files = journals.flat_map(|journal| std::fs::read_dir(journal.path()).unwrap().flatten());
    files.map(|file| file.metadata().unwrap().blocks() * 512).sum()
}

#[tokio::test]
async fn a_crash_loop_while_postgresql_is_away_does_not_fill_the_disk() {
    let database = Database::new().await;
    let (mut recorded, mut refused, mut processes) = (0, 0, 0);
    while refused == 0 {
        processes += 1;
        let audit = bounded(&database).postgres("postgres://nobody@127.0.0.1:1/nothing").start().unwrap();
        for _ in 0..5 {
            match audit.record(Event::new("order.accepted")) {
                Ok(_) => recorded += 1,
                Err(error) => {
                    assert_eq!(error, RecordError::JournalFull);
                    refused += 1;
                }
            }
        }
        database.abandon(audit).await;
        // A lock of each has a block, too.
        let bytes = bytes(database.journals.path());
        assert!(bytes <= LIMIT + processes * 4_096 && processes < 200, "{bytes} bytes of {processes} processes");
    }
    assert!(recorded > 0, "{refused} refused");
    let audit = bounded(&database).start().unwrap();
    eventually("what was left is shipped", || async { database.journal_directories() == 1 }).await;
    assert_eq!(database.events_of("order.accepted").await, recorded);
    // With the others gone, there is room again.
    eventually("events are taken again", || async { audit.record(Event::new("order.filled")).is_ok() }).await;
    assert_eq!(audit.shutdown(Duration::from_secs(10)).await.unwrap().left_in_journal, 0);
    assert!(database.events_of("order.filled").await > 0);
}
