//! How many `required` calls a second a journal takes, by how many run at once, beside as many
//! syncs without a journal.
//!
//! `scripts/required.sh [seconds] [directory]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::{Audit, RecordError, audited};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database};
use uuid::Uuid;

#[audited(event = "mode.changed", required)]
async fn switch(mode_id: Uuid, mode: &str) -> Result<(), RecordError> {
    Ok(())
}

/// Calls a second.
async fn at_once(tasks: usize, time: Duration) -> f64 {
    let begin = Instant::now();
    let calls = (0..tasks).map(|_| {
        tokio::spawn(async move {
            let mut calls = 0_u64;
            while begin.elapsed() < time {
                switch(Uuid::nil(), "live").await.unwrap();
                calls += 1;
            }
            calls
        })
    });
    let mut total = 0;
    for task in calls.collect::<Vec<_>>() {
        total += task.await.unwrap();
    }
    total as f64 / begin.elapsed().as_secs_f64()
}

/// The speed of the disk itself: a kilobyte and an `fdatasync`, one after the other.
fn syncs(directory: &Path, time: Duration) -> f64 {
    let mut file = File::create(directory.join("syncs")).unwrap();
    let (begin, mut syncs) = (Instant::now(), 0);
    while begin.elapsed() < time {
        file.write_all(&[7; 1024]).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / begin.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments.get(1).map_or(5.0, |seconds| seconds.parse().expect("seconds, as a number"));
    let time = Duration::from_secs_f64(seconds);
    let directory = match arguments.get(2) {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let directory = directory.unwrap();
    let cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    database.pool.close().await;
    let audit = Audit::builder().postgres(database.url.as_str()).journal(directory.path()).start().unwrap();
    audit.install().unwrap();
    println!("{:>8.0} syncs a second, one after the other", syncs(directory.path(), time));
    for tasks in [1, 8, 64, 512] {
        println!("{:>8.0} required calls a second, {tasks} at once", at_once(tasks, time).await);
    }
    let report = audit.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!((report.left_in_journal, report.refused), (0, 0));
}
