//! How many journals of dead processes a living one ships a second, beside events of its own:
//! `scripts/orphans.sh` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::Event;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::Database;

/// Returns how many descriptors of this process lead into a directory.
fn descriptors(directory: &Path) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let paths = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    paths.filter(|path| path.starts_with(directory)).count()
}

#[tokio::main]
async fn main() {
    let journals: usize = std::env::args().nth(1).map_or(1_000, |journals| journals.parse().expect("a number"));
    let database = Database::new().await;
    for _ in 0..journals {
        database.orphan(1).await;
    }
    let directory = database.journals.path().canonicalize().unwrap();
    let begin = Instant::now();
    let audit = database.audit().start().unwrap();
    let (mut most, mut live, mut slowest) = (0, 0, Duration::ZERO);
    while database.journal_directories() > 1 {
        let recorded = Instant::now();
        audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
        live += 1;
        slowest = slowest.max(recorded.elapsed());
        most = most.max(descriptors(&directory));
    }
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(database.events_of("order.orphaned").await, i64::try_from(journals).unwrap());
    let report = audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!((report.left_in_journal, report.inherited_journals), (0, 0));
    println!(
        "{journals} journals in {seconds:.1} s, {:.0} a second, beside {live} events, the slowest stored after {slowest:.0?}; {most} descriptors",
        journals as f64 / seconds
    );
}
