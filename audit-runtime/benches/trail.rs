//! Reading trails in a table of a million rows: the questions of `scripts/trail.sh`, which asks
//! them of larger ones.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use audit_runtime::trail::Trail;
use criterion::Criterion;
use std::time::Duration;
use tests::filled::{QUESTIONS, ask, fill};
use tests::{Cluster, Config, Database};
use tokio::runtime::Runtime;

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(30)
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let runtime = Runtime::new().unwrap();
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB\nmaintenance_work_mem = 512MB";
    let cluster = Cluster::start(Config { settings, ..Config::default() });
    let database = runtime.block_on(Database::migrated_in(&cluster));
    runtime.block_on(fill(&database, 0, 1, 1));
    let trail = Trail::new(database.pool.clone());
    let mut group = criterion.benchmark_group("trail");
    for question in QUESTIONS {
        group.bench_function(question, |bencher| bencher.iter(|| runtime.block_on(ask(&trail, question, 1))));
    }
    group.finish();
    criterion.final_summary();
}
