//! Rows a second from recorded to committed into tables of many rows, by programs of two revisions
//! in turns, each with the tables and indexes of its own: `scripts/ingest.sh` compiles them.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use std::path::Path;
use std::process::Command;
use tests::{Cluster, Config, Database, before, filled};

/// Rows of one measurement.
const ROWS: u32 = 300_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, old, new, rounds, sizes @ ..] = &*arguments else { panic!("two programs, rounds, millions of rows ..") };
    let rounds: usize = rounds.parse().unwrap();
    let sizes: Vec<u32> = sizes.iter().map(|size| size.parse().unwrap()).collect();
    let largest = sizes.iter().copied().max().unwrap();
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB\nmaintenance_work_mem = 512MB";
    let cluster = Cluster::start(Config { settings, hba: None });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let databases =
        runtime.block_on(async { [before::version_5_in(&cluster).await, Database::migrated_in(&cluster).await] });
    let mut filled = 0;
    for millions in sizes {
        for database in &databases {
            runtime.block_on(filled::fill(database, filled, millions, largest));
        }
        filled = millions;
        println!("{millions} million rows; rows/s from recorded to committed, medians of {rounds} rounds");
        println!("{:<10} {:>10} {:>10} {:>8}", "order ids", "old", "new", "new/old");
        let mut rates = Vec::new();
        for ids in ["distinct", "one"] {
            let mut times = [Vec::new(), Vec::new()];
            for round in 0..rounds {
                // Each begins as often as the other.
                for which in [round % 2, 1 - round % 2] {
                    runtime.block_on(sqlx::raw_sql("CHECKPOINT").execute(&databases[which].pool)).unwrap();
                    times[which].push(run([old, new][which], &databases[which].url, ids));
                }
            }
            let [old, new] = times.map(|mut times| {
                times.sort_unstable();
                f64::from(ROWS) * 1e6 / f64::from(times[times.len() / 2])
            });
            println!("{ids:<10} {old:>10.0} {new:>10.0} {:>8.2}", new / old);
            rates.push(new);
        }
        println!("one order id against distinct ones: {:.2}", rates[1] / rates[0]);
    }
}

/// Returns the microseconds until all is committed.
fn run(program: &str, url: &str, ids: &str) -> u32 {
    let journals = tempfile::tempdir_in(Path::new(".")).unwrap();
    let output = Command::new(program).arg(url).arg(journals.path()).arg(ROWS.to_string()).arg(ids).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
