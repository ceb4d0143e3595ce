//! The time of single calls, to the thousandth slowest and beyond: audited, and logged as JSON
//! lines, in turns. Meanwhile another thread records, and the writer ships that.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

mod results;
mod ways;

use audit_runtime::Audit;
use hdrhistogram::Histogram;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database};
use ways::{Order, call};

const ROUNDS: usize = 5;
/// Calls of a round, in bursts that are so far apart: of this thread, and as many of another.
const CALLS: usize = 60_000;
const BURST: usize = 30;
const APART: Duration = Duration::from_millis(1);

fn paced(mut each: impl FnMut()) {
    for _ in 0..CALLS / BURST {
        (0..BURST).for_each(|_| each());
        std::thread::sleep(APART);
    }
}

/// Times each call while another thread records as many, and the writer ships those.
fn round<R>(audit: &Audit, times: &mut Histogram<u64>, function: impl Fn(&Order) -> R) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                (0..BURST).for_each(|_| {
                    let _ = call(ways::submit);
                });
                std::thread::sleep(APART);
            }
        });
        paced(|| {
            let begin = Instant::now();
            std::hint::black_box(call(&function));
            times.record(begin.elapsed().as_nanos() as u64).unwrap();
        });
        over.store(true, Ordering::Relaxed);
    });
    audit.flush_blocking().unwrap();
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB";
    let cluster = Cluster::start(Config { settings, ..Config::default() });
    let database = runtime.block_on(Database::migrated_in(&cluster));
    let audit = ways::start(&database);
    audit.install().unwrap();
    let new = || Histogram::<u64>::new_with_max(60_000_000_000, 3).unwrap();
    let (mut audited, mut traced, mut nothing) = (new(), new(), new());
    let json = ways::JsonLog::new();
    round(&audit, &mut new(), ways::submit);
    for _ in 0..ROUNDS {
        round(&audit, &mut audited, ways::submit);
        json.log(|| round(&audit, &mut traced, ways::traced));
        // The cost of measuring itself.
        round(&audit, &mut nothing, ways::bare);
    }
    let recorded = audit.stats().recorded;
    assert_eq!(audit.stats().refused, 0);
    runtime.block_on(ways::all_rows_are_whole(&database, recorded));
    let mut kept = serde_json::Map::new();
    for (name, times) in [("audited", &audited), ("tracing, JSON", &traced), ("bare", &nothing)] {
        let at = [50.0, 90.0, 99.0, 99.9, 99.99].map(|share| times.value_at_percentile(share));
        println!(
            "{name:<14} p50 {:>8} p90 {:>8} p99 {:>8} p99.9 {:>8} p99.99 {:>8} ns",
            at[0], at[1], at[2], at[3], at[4]
        );
        kept.insert(name.into(), json!({"p50": at[0], "p90": at[1], "p99": at[2], "p99.9": at[3], "p99.99": at[4]}));
    }
    audit.shutdown_blocking(Duration::from_secs(10)).unwrap();
    results::keep("latency", &json!({"calls": CALLS * ROUNDS, "nanoseconds": kept}));
}
