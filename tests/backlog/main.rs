//! How long new events wait behind a backlog, by programs of two revisions in turns:
//! `scripts/backlog.sh` compiles them.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::admin::Admin;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use tests::{Cluster, Config};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, old, new, thousands, rounds] = &*arguments else { panic!("two programs, thousands of events, rounds") };
    let (thousands, rounds): (u32, usize) = (thousands.parse().unwrap(), rounds.parse().unwrap());
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB";
    println!(
        "{:<10} {:>12} {:>10} {:>10} {:>10} {:>10}",
        "program", "drained s", "events", "p50 ms", "p99 ms", "longest"
    );
    for round in 0..rounds {
        // Each begins as often as the other.
        for which in [round % 2, 1 - round % 2] {
            let mut cluster = Cluster::start(Config { settings, hba: None });
            let url = cluster.url("postgres");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let pool = audit_runtime::sqlx::PgPool::connect(&url).await.unwrap();
                Admin::new(pool.clone()).migrate().await.unwrap();
                pool.close().await;
            });
            cluster.down();
            let (drained, mut waits) = run([old, new][which], &mut cluster, &url, thousands * 1_000);
            waits.sort_unstable();
            let ms = |share: f64| f64::from(waits[((waits.len() - 1) as f64 * share) as usize]) / 1e3;
            println!(
                "{:<10} {:>12.1} {:>10} {:>10.1} {:>10.1} {:>10.1}",
                ["old", "new"][which],
                f64::from(drained) / 1e6,
                waits.len(),
                ms(0.5),
                ms(0.99),
                ms(1.0)
            );
        }
    }
}

/// Returns how long the backlog took, and each new event, in microseconds.
fn run(program: &str, cluster: &mut Cluster, url: &str, events: u32) -> (u32, Vec<u32>) {
    let journals = tempfile::tempdir_in(Path::new(".")).unwrap();
    let mut child = Command::new(program)
        .arg(url)
        .arg(journals.path())
        .arg(events.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("recorded"));
    cluster.up();
    child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    let mut numbers: Vec<u32> = lines.map(|line| line.parse().unwrap()).collect();
    assert!(child.wait().unwrap().success());
    (numbers.pop().unwrap(), numbers)
}
