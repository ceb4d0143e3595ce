//! The bytes that reach the disk, and when: the system calls of a recording process, as strace
//! shows them.

use audit_runtime::{Audit, Event, StoreError};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::again::{again_under, is_again};
use tests::wait;

/// Says where the program is: a line in the trace.
fn mark(text: &str) {
    let _ = std::fs::metadata(format!("/mark/{text}"));
}

/// Runs a test again under strace, and gives what it did: the calls that make files, write to disk,
/// and the marks.
fn traced(test: &str, journals: &Path) -> Option<Vec<String>> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let works = Command::new("strace").arg("true").output().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("left out: strace is not to be had or may not trace here");
        return None;
    }
    let path = trace.path().to_str().unwrap();
    let calls = "trace=openat,mkdir,mkdirat,fallocate,msync,fsync,fdatasync,mmap,statx,unlink";
    let output = again_under(Some("strace"), &["-f", "-y", "-qq", "-e", calls, "-o", path], test)
        .env("AUDIT_TEST_JOURNALS", journals)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Some(std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect())
}

/// Finds a line behind another one, by all of its words.
fn find(trace: &[String], from: usize, words: &[&str]) -> usize {
    let found = trace[from..].iter().position(|line| words.iter().all(|word| line.contains(word)));
    from + found.unwrap_or_else(|| panic!("{words:?} behind line {from} of\n{}", trace.join("\n")))
}

fn start(sync_every: Duration) -> Audit {
    Audit::builder()
        .postgres("postgres://127.0.0.1:1/x")
        .journal(std::env::var("AUDIT_TEST_JOURNALS").unwrap())
        .sync_every(sync_every)
        .start()
        .unwrap()
}

const SYNCED: &str = "power::a_segment_is_durable_before_it_is_used_and_synced_waits_for_the_disk";

#[test]
fn a_segment_is_durable_before_it_is_used_and_synced_waits_for_the_disk() {
    if is_again(SYNCED) {
        // Only who asks for it brings a sync about.
        let audit = start(Duration::from_secs(3600));
        mark("started");
        let receipts: Vec<_> = (0..100).map(|_| audit.record(Event::new("order.accepted")).unwrap()).collect();
        mark("recorded");
        std::thread::scope(|scope| {
            for receipt in &receipts {
                scope.spawn(|| receipt.synced_blocking().unwrap());
            }
        });
        mark("synced");
        receipts.last().unwrap().synced_blocking().unwrap();
        mark("known");
        audit.shutdown_blocking(Duration::ZERO).unwrap();
        return;
    }
    let journals = tempfile::tempdir().unwrap();
    let Some(trace) = traced(SYNCED, journals.path()) else { return };
    let parent = journals.path().to_str().unwrap();
    // The journal's directory is in its parent before anything is in it.
    let made = find(&trace, 0, &["mkdir", parent]);
    let durable = find(&trace, made, &["fsync", &format!("<{parent}>")]);
    // A segment: mapped, its first bytes allocated, its header written, its name in the directory.
    let file = find(&trace, durable, &["openat", "00000000000000000000.journal", "O_CREAT"]);
    let mapped = find(&trace, file, &["mmap", "MAP_SHARED", "00000000000000000000.journal"]);
    let allocated = find(&trace, mapped, &["fallocate", "00000000000000000000.journal"]);
    let header = find(&trace, allocated, &["msync", "MS_SYNC"]);
    let named = find(&trace, header, &["fsync", parent]);
    let started = find(&trace, named, &["/mark/started"]);
    // Recording itself never waits for the disk. A hundred waits share a few syncs.
    let recorded = find(&trace, started, &["/mark/recorded"]);
    let synced = find(&trace, recorded, &["/mark/synced"]);
    let syncs = |from: usize, to: usize| trace[from..to].iter().filter(|line| line.contains("msync")).count();
    assert!((1..=20).contains(&syncs(recorded, synced)), "{}", trace[recorded..synced].join("\n"));
    // Bytes that are known to be on disk are not written again.
    let known = find(&trace, synced, &["/mark/known"]);
    assert_eq!(syncs(synced, known), 0);
}

const EVERY: &str = "power::the_journal_is_synced_at_its_interval_whether_anybody_waits_or_not";

#[test]
fn the_journal_is_synced_at_its_interval_whether_anybody_waits_or_not() {
    if is_again(EVERY) {
        let audit = start(Duration::from_millis(20));
        mark("started");
        audit.record(Event::new("order.accepted")).unwrap();
        mark("recorded");
        // As long as it takes the housekeeper to come round, by far.
        std::thread::sleep(Duration::from_secs(2));
        mark("waited");
        audit.shutdown_blocking(Duration::ZERO).unwrap();
        return;
    }
    let journals = tempfile::tempdir().unwrap();
    let Some(trace) = traced(EVERY, journals.path()) else { return };
    let recorded = find(&trace, 0, &["/mark/recorded"]);
    let waited = find(&trace, recorded, &["/mark/waited"]);
    // One for the record, perhaps two if the first came between its claim and its publication. None
    // follows without anything new. (The header of the segment that is made ahead is synced by
    // itself.)
    let started = find(&trace, 0, &["/mark/started"]);
    let of_records = |line: &&String| line.contains("msync(") && !line.contains(", 64, MS_SYNC");
    assert!(recorded < waited);
    let syncs = trace[started..waited].iter().filter(of_records).count();
    assert!((1..=2).contains(&syncs), "{}", trace[started..waited].join("\n"));
}

#[test]
fn waiting_for_the_disk_ends_with_the_journal_and_is_no_use_in_memory() {
    let journals = tempfile::tempdir().unwrap();
    let builder = || Audit::builder().postgres("postgres://127.0.0.1:1/x");
    let audit = builder().journal(journals.path()).start().unwrap();
    let receipt = audit.record(Event::new("order.accepted")).unwrap();
    receipt.synced_blocking().unwrap();
    let later = audit.record(Event::new("order.accepted")).unwrap();
    audit.shutdown_blocking(Duration::ZERO).unwrap();
    // The housekeeper's last sync covers it, or it has ended before. It does not hang.
    wait::until("an answer", || Some(matches!(later.synced_blocking(), Ok(()) | Err(StoreError::Closed))));
    let audit = builder().memory().start().unwrap();
    assert_eq!(audit.record(Event::new("order.accepted")).unwrap().synced_blocking(), Err(StoreError::InMemory));
}
