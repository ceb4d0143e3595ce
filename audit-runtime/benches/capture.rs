//! What a call pays: audited, and by the ways developers would take instead.
//!
//! One function of a key and four fields, which returns a `Result`, annotated in each of the ways. The journal is on a file, and
//! its writer ships to a PostgreSQL of the benchmark's own meanwhile; at the end every row is looked at.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and its macros make public items"
)]

mod results;
mod ways;

use audit_runtime::{Audit, audited};
use criterion::Criterion;
use results::Rounds;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;
use serde_json::Value;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database};
use tokio::runtime::Runtime;
use ways::{Order, call};

/// Calls in one go: the writer catches up in between, untimed.
const BURST: u64 = 4_000;
/// How often.
const BURSTS: u32 = 100;
/// How long it takes until a writer that has stored all has nothing to do.
const SETTLED: Duration = Duration::from_millis(20);

/// A nested value of about 10 kB of JSON.
#[derive(Debug, Serialize)]
struct Portfolio {
    account: String,
    positions: Vec<Position>,
}

#[derive(Debug, Serialize)]
struct Position {
    ticker: String,
    quantity: u64,
    average_price: f64,
    lots: Vec<Lot>,
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct Lot {
    opened_at: String,
    quantity: u64,
    price: f64,
    is_short: bool,
}

fn portfolio() -> Portfolio {
    let lot = |number: u64| Lot {
        opened_at: format!("2026-11-{:02}T09:30:00Z", number % 28 + 1),
        quantity: number * 100,
        price: 187.25 + number as f64,
        is_short: number.is_multiple_of(2),
    };
    let position = |number: u64| Position {
        ticker: format!("TICK{number}"),
        quantity: number * 10,
        average_price: 99.5 + number as f64,
        lots: (0..4).map(lot).collect(),
        note: number.is_multiple_of(3).then(|| "opened by \"rebalance\" as planned".into()),
    };
    Portfolio { account: "trading-7".into(), positions: (0..23).map(position).collect() }
}

#[audited(event = "portfolio.valued", entity = "portfolio", id = ways::next_id())]
fn value(portfolio: &Portfolio) {
    black_box(portfolio);
}

/// Nanoseconds of a call, by bursts between which the writer catches up, to `pending` events. (Criterion would count that time when
/// it settles how many calls to make, and make a few at a time, each on cold caches.)
fn recorded(audit: &Audit, name: &str, calls: u64, pending: u64, burst: impl Fn(u64) -> Duration) -> Value {
    let mut rounds = Rounds::default();
    for number in 0..BURSTS {
        let took = burst(calls);
        if number >= BURSTS / 10 {
            rounds.add(took.as_nanos() as f64 / calls as f64);
        }
        while audit.stats().pending > pending {
            std::thread::sleep(Duration::from_micros(200));
        }
        if pending == 0 {
            // Idle is the writer when what follows a commit (segments given back, others made ready) is done, too.
            std::thread::sleep(SETTLED);
        }
    }
    println!("{name:<40} {:>8.1} ns", rounds.median());
    rounds.to_json()
}

/// The time of so many calls.
fn timed<R>(calls: u64, mut call: impl FnMut() -> R) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    begin.elapsed()
}

/// The time of so many calls on two threads at once, each on a processor of its own: where a scheduler has both take turns on one, it is
/// that which is measured.
fn timed_on_two(calls: u64) -> Duration {
    let ready = AtomicU32::new(0);
    let half = |processor: usize| {
        let mut only = CpuSet::new();
        only.set(processor);
        sched_setaffinity(None, &only).unwrap();
        // What a thread's first calls allocate is there.
        timed(BURST / 100, || call(ways::submit));
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < 2 {
            std::hint::spin_loop();
        }
        timed(calls / 2, || call(ways::submit))
    };
    // Two of those that this process may run on; where there is but one, that.
    let allowed = sched_getaffinity(None).unwrap();
    let mut processors = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor)).cycle();
    let mut next = || processors.next().unwrap();
    let chosen = [next(), next()];
    std::thread::scope(|scope| {
        let [one, other] = chosen.map(|processor| scope.spawn(move || half(processor)));
        one.join().unwrap().max(other.join().unwrap())
    })
}

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let runtime = Runtime::new().unwrap();
    let cluster = Cluster::start(Config { settings: "shared_buffers = 1GB\nmax_wal_size = 8GB", ..Config::default() });
    let database = runtime.block_on(Database::migrated_in(&cluster));

    let mut group = criterion.benchmark_group("capture");
    group.bench_function("bare", |bencher| bencher.iter(|| call(ways::bare)));
    group.bench_function("audited, nothing installed", |bencher| bencher.iter(|| call(ways::submit)));
    group.bench_function("serde_json of the fields", |bencher| {
        let mut buffer = Vec::with_capacity(256);
        bencher.iter(|| {
            buffer.clear();
            serde_json::to_writer(&mut buffer, black_box(&Order::default())).unwrap();
            black_box(&buffer);
        });
    });
    group.bench_function("tracing, no subscriber", |bencher| bencher.iter(|| call(ways::traced)));

    let audit = ways::start(&database);
    audit.install().unwrap();
    group.bench_function("audited, when is false", |bencher| bencher.iter(|| call(ways::unwanted)));
    let one = |calls| timed(calls, || call(ways::submit));
    let mut kept = serde_json::Map::new();
    let mut keep = |name: &str, calls, pending, burst: &dyn Fn(u64) -> Duration| {
        kept.insert(name.into(), recorded(&audit, name, calls, pending, burst));
    };
    keep("audited", BURST, 3 * BURST, &one);
    keep("audited, writer idle", BURST, 0, &one);
    keep("audited, writer idle, two threads", BURST, 0, &timed_on_two);
    ways::with_json_logging(|| group.bench_function("tracing, JSON", |bencher| bencher.iter(|| call(ways::traced))));
    ways::with_fastrace(|| {
        group.bench_function("fastrace", |bencher| bencher.iter(|| ways::root_span(|| call(ways::fast_traced))));
    });
    ways::with_opentelemetry(|tracer| {
        group
            .bench_function("OpenTelemetry, batch", |bencher| bencher.iter(|| call(|order| ways::open(tracer, order))));
    });
    runtime.block_on(async {
        sqlx::raw_sql("CREATE TABLE plain AS TABLE audit_events").execute(&database.pool).await.unwrap();
        sqlx::raw_sql("ALTER TABLE plain ADD PRIMARY KEY (id)").execute(&database.pool).await.unwrap();
    });
    group.bench_function("INSERT, awaited", |bencher| {
        bencher.iter(|| runtime.block_on(ways::insert(&database.pool, &Order::default())));
    });
    group.finish();

    let mut group = criterion.benchmark_group("nested");
    let nested = portfolio();
    group.bench_function("serde_json::to_vec", |bencher| {
        bencher.iter(|| black_box(serde_json::to_vec(black_box(&nested)).unwrap()));
    });
    keep("nested, audited", BURST / 50, BURST / 10, &|calls| timed(calls, || value(black_box(&nested))));
    group.finish();

    audit.flush_blocking().unwrap();
    let stats = audit.stats();
    assert_eq!((stats.refused, stats.quarantined), (0, 0));
    runtime.block_on(ways::all_rows_are_whole(&database, stats.recorded));
    audit.shutdown_blocking(Duration::from_secs(10)).unwrap();
    results::keep("capture", &Value::Object(kept));
    criterion.final_summary();
}
