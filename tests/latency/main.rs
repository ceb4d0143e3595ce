//! The cost of a call while PostgreSQL is alive and while it is dead, in turns, in one run.
//!
//! `scripts/latency.sh [rounds]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::{Audit, audited};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database, wait};
use uuid::Uuid;

const CALLS: usize = 20_000;

#[audited(event = "order.submitted", err = "order.rejected")]
fn submit(order_id: Uuid, ticker: &str, quantity: f64, limit: Option<f64>) -> Result<u32, std::fmt::Error> {
    black_box(Ok(7))
}

/// The time each of so many calls took, in nanoseconds, sorted.
fn measure() -> Vec<u64> {
    let id = Uuid::now_v7();
    let mut times: Vec<u64> = (0..CALLS)
        .map(|number| {
            let begin = Instant::now();
            let _ = black_box(submit(black_box(id), black_box("AAPL"), number as f64, None));
            let took = begin.elapsed();
            // A service's pace, not a race: the writer has time to take what is there.
            if number % 100 == 99 {
                std::thread::sleep(Duration::from_millis(2));
            }
            took.as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    times
}

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(5, |rounds| rounds.parse().expect("rounds, as a number"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut cluster = Cluster::start(Config::default());
    let database = runtime.block_on(Database::migrated_in(&cluster));
    runtime.block_on(database.pool.close());
    let audit = Audit::builder().postgres(database.url.as_str()).journal(database.journals.path()).start().unwrap();
    audit.install().unwrap();
    measure();
    let (mut alive, mut dead) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        audit.flush_blocking().unwrap();
        alive.extend(measure());
        cluster.kill();
        wait::until("the writer has noticed", || {
            let _ = submit(Uuid::nil(), "AAPL", 0.0, None);
            audit.stats().last_error
        });
        dead.extend(measure());
        cluster.up();
    }
    println!("{:<22} {:>8} {:>8} {:>8}", "nanoseconds a call", "p50", "p99", "p99.9");
    let row = |name: &str, times: &mut Vec<u64>| {
        times.sort_unstable();
        let at = |share: f64| times[(times.len() as f64 * share) as usize];
        let row = (at(0.5), at(0.99), at(0.999));
        println!("{name:<22} {:>8} {:>8} {:>8}", row.0, row.1, row.2);
        row
    };
    let (alive, dead) = (row("PostgreSQL alive", &mut alive), row("PostgreSQL dead", &mut dead));
    let ratio = |dead: u64, alive: u64| dead as f64 / alive as f64;
    println!(
        "{:<22} {:>8.2} {:>8.2} {:>8.2}",
        "ratio",
        ratio(dead.0, alive.0),
        ratio(dead.1, alive.1),
        ratio(dead.2, alive.2)
    );
    let report = audit.shutdown_blocking(Duration::from_secs(60)).unwrap();
    assert_eq!((report.left_in_journal, report.refused), (0, 0));
}
