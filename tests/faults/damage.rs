//! A journal whose bytes somebody changes: what is intact is shipped, what is not becomes no event.

use audit_runtime::{Audit, Event};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;
use tests::{Database, eventually};

/// The segment files under a directory of journals.
fn segments(database: &Database) -> Vec<PathBuf> {
    let directories =
        std::fs::read_dir(database.journals.path()).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let mut files: Vec<PathBuf> = directories
        .flat_map(|directory| std::fs::read_dir(directory.path()).unwrap().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .collect();
    files.sort();
    files
}

fn record(audit: &Audit, numbers: std::ops::Range<u32>) {
    for number in numbers {
        audit.record(Event::new("order.accepted").data(&serde_json::json!({"number": number}))).unwrap();
    }
}

/// Where the bytes of a number lie in a file.
fn place(file: &PathBuf, number: u32) -> u64 {
    let needle = format!("{{\"number\":{number}}}");
    let bytes = std::fs::read(file).unwrap();
    bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap() as u64
}

fn change(file: &PathBuf, at: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(file).unwrap().write_all_at(bytes, at).unwrap();
}

#[tokio::test]
async fn a_live_journal_loses_only_what_was_damaged() {
    let database = Database::empty().await;
    let audit = database.audit().start().unwrap();
    record(&audit, 0..100);
    eventually("the writer waits for the schema", || async { audit.stats().last_error.is_some() }).await;
    // The first hundred are a batch already. These are not read yet.
    record(&audit, 100..200);
    let file = segments(&database).remove(0);
    // A byte of one's data, and the length of another: 8 bytes before its payload, whose header
    // has 104.
    change(&file, place(&file, 120) + 2, b"X");
    change(&file, place(&file, 150) - 104 - 8, &3_000_u32.to_le_bytes());
    database.admin().migrate().await.unwrap();
    eventually("the rest is stored", || async { database.events().await == 198 }).await;
    let damaged = "SELECT count(*) FROM audit_events WHERE (data->>'number')::int IN (120, 150)";
    assert_eq!(database.count(damaged).await, 0);
    record(&audit, 200..300);
    audit.flush().await.unwrap();
    assert_eq!(database.events().await, 298);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_dead_journal_with_every_kind_of_damage_gives_what_is_intact() {
    let database = Database::new().await;
    let nowhere =
        database.audit().postgres("postgres://postgres@127.0.0.1:1/x").segment_bytes(1 << 16).data_limit(1 << 14);
    let nowhere = nowhere.start().unwrap();
    record(&nowhere, 0..1_000);
    nowhere.shutdown(Duration::ZERO).await.unwrap();
    let files = segments(&database);
    assert!(files.len() >= 3, "{files:?}");
    // Its header, a record's length, a record's data; the last file cut off behind its first half;
    // two that have each other's names.
    change(&files[0], 0, b"garbage!");
    change(&files[0], place(&files[0], 5) - 104 - 8, &[0xff; 4]);
    change(&files[1], place(&files[1], 400) + 3, b"Z");
    let (one, two) = (files[1].with_extension("one"), files[1].with_extension("two"));
    for (from, to) in [(&files[1], &one), (&files[2], &two), (&one, &files[2]), (&two, &files[1])] {
        std::fs::rename(from, to).unwrap();
    }
    let audit = database.audit().start().unwrap();
    eventually("what is intact is shipped", || async { audit.stats().adopted == 998 }).await;
    let rows = "SELECT count(DISTINCT (data->>'number')::int) FROM audit_events";
    assert_eq!((database.events().await, database.count(rows).await), (998, 998));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}
