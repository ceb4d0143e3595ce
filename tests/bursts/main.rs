//! Bursts of calls, by programs of two revisions in turns: `scripts/bursts.sh` compiles them.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::admin::Admin;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use tests::{Cluster, Config};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, old, new, rounds] = &*arguments else { panic!("two programs, and how many rounds") };
    let rounds: usize = rounds.parse().unwrap();
    let cluster = Cluster::start(Config { settings: "max_wal_size = 4GB", hba: None });
    let url = cluster.url("postgres");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = audit_runtime::sqlx::PgPool::connect(&url).await.unwrap();
        Admin::new(pool.clone()).migrate().await.unwrap();
        pool.close().await;
    });
    let mut times: BTreeMap<u32, [Vec<[u32; 2]>; 2]> = BTreeMap::new();
    for round in 0..rounds {
        // Each begins as often as the other.
        for which in [round % 2, 1 - round % 2] {
            for [calls, mean, slow] in run([old, new][which], &url) {
                times.entry(calls).or_default()[which].push([mean, slow]);
            }
        }
    }
    println!("nanoseconds a call in the mean, and at p99.9; medians of {rounds} rounds");
    println!("{:>8} {:>10} {:>10} {:>10} {:>10}", "calls", "old", "new", "old p99.9", "new p99.9");
    for (calls, [old, new]) in times {
        let [old_mean, new_mean, old_slow, new_slow] =
            [median(&old, 0), median(&new, 0), median(&old, 1), median(&new, 1)];
        println!("{calls:>8} {old_mean:>10} {new_mean:>10} {old_slow:>10} {new_slow:>10}");
    }
}

fn median(times: &[[u32; 2]], which: usize) -> u32 {
    let mut times: Vec<u32> = times.iter().map(|times| times[which]).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Returns for each size of burst how many calls it has, and nanoseconds a call: in the mean, and
/// at p99.9.
fn run(program: &str, url: &str) -> Vec<[u32; 3]> {
    let journals = tempfile::tempdir_in(Path::new(".")).unwrap();
    let output = Command::new(program).arg(url).arg(journals.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let numbers = |line: &str| line.split(' ').map(|number| number.parse().unwrap()).collect::<Vec<u32>>();
    printed.lines().map(|line| numbers(line).try_into().unwrap()).collect()
}
