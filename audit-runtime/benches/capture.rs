//! The cost of a call: audited, and by the ways developers would take instead.
//!
//! One function of a key and four fields, which returns a `Result`, annotated in each of the ways.
//! The journal is on a file, and its writer ships to a PostgreSQL of the benchmark's own. At the
//! end every row is checked.
//!
//! The ways take turns, some calls each. A virtual machine's processors are half as fast for
//! seconds when other work is on the other half of their cores. Compared ways have to meet the same
//! conditions. The consumer of each way's records is at work when its calls are timed: the writer,
//! a logger's thread, a collector of spans.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and its macros make public items"
)]

mod results;
mod ways;

use audit_runtime::{Audit, Context, audited};
use results::Rounds;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database};
use tokio::runtime::Runtime;
use ways::{Order, call};

const ROUNDS: usize = 60;
/// Captured calls in one go: the writer catches up in between, untimed.
const BURST: u64 = 4_000;
/// The same of a nested value.
const NESTED: u64 = 80;
/// Calls that take next to nothing.
const MANY: u64 = 40_000;
/// Calls that take microseconds.
const SOME: u64 = 2_000;
/// Calls that wait for a server.
const FEW: u64 = 100;
/// How long it takes until a writer, or a logger, that has all behind it has nothing to do.
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

/// The time of so many calls.
fn timed<R>(calls: u64, mut call: impl FnMut() -> R) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    begin.elapsed()
}

/// The time of so many calls on two threads at once, each on a processor of its own. A scheduler
/// that had both take turns on one would be measured instead.
fn timed_on_two(calls: u64, call: impl Fn() + Sync) -> Duration {
    let ready = AtomicU32::new(0);
    let half = |processor: usize| {
        let mut only = CpuSet::new();
        only.set(processor);
        sched_setaffinity(None, &only).unwrap();
        // The allocations of a thread's first calls exist, and its processor knows them.
        timed(BURST / 4, &call);
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < 2 {
            std::hint::spin_loop();
        }
        timed(calls / 2, &call)
    };
    // Two of the processors that this process may run on, or the only one.
    let allowed = sched_getaffinity(None).unwrap();
    let mut processors = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor)).cycle();
    let mut next = || processors.next().unwrap();
    let chosen = [next(), next()];
    std::thread::scope(|scope| {
        let half = &half;
        let [one, other] = chosen.map(|processor| scope.spawn(move || half(processor)));
        one.join().unwrap().max(other.join().unwrap())
    })
}

/// The encoding that a call needs, by serde_json into an existing buffer.
fn encode() {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(256));
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        serde_json::to_writer(&mut *buffer, black_box(&Order::default())).unwrap();
        black_box(buffer.len());
    });
}

/// The nanoseconds a call of each way.
#[derive(Debug, Default)]
struct Table(BTreeMap<&'static str, Rounds>);

impl Table {
    /// Adds a round of so many calls of a way.
    fn add(&mut self, way: &'static str, calls: u64, round: impl FnOnce(u64) -> Duration) {
        self.0.entry(way).or_default().add(round(calls).as_nanos() as f64 / calls as f64);
    }

    fn to_json(&self) -> Value {
        self.0.iter().map(|(way, rounds)| (way.to_string(), rounds.to_json())).collect::<Map<_, _>>().into()
    }
}

/// Waits until no more events than these are to be stored, or, without a number, until the writer
/// is idle. It is idle once the work after a commit is done, too (segments given back, others made
/// ready).
fn wait(audit: &Audit, pending: u64) {
    while audit.stats().pending > pending {
        std::thread::sleep(Duration::from_micros(200));
    }
    if pending == 0 {
        std::thread::sleep(SETTLED);
    }
}

/// Without a trail.
fn uninstalled(table: &mut Table) {
    for _ in 0..ROUNDS {
        table.add("bare", MANY, |calls| timed(calls, || call(ways::bare)));
        table.add("audited, nothing installed", MANY, |calls| timed(calls, || call(ways::submit)));
        table.add("tracing, no subscriber", MANY, |calls| timed(calls, || call(ways::traced)));
    }
}

/// With one, and by the other ways.
fn installed(table: &mut Table, audit: &Audit, runtime: &Runtime, database: &Database) {
    let (json, tracer) = (ways::JsonLog::new(), ways::opentelemetry());
    ways::install_fastrace();
    let nested = portfolio();
    for _ in 0..ROUNDS {
        // One batch is stored, and what is left is on its way: the writer is at it.
        timed(3 * BURST, || call(ways::submit));
        wait(audit, 2 * BURST);
        table.add("audited", BURST, |calls| timed(calls, || call(ways::submit)));
        wait(audit, 0);
        table.add("audited, writer idle", BURST, |calls| timed(calls, || call(ways::submit)));
        wait(audit, 0);
        table.add("audited, writer idle, two threads", 2 * BURST, |calls| {
            timed_on_two(calls, || _ = call(ways::submit))
        });
        wait(audit, 0);
        table.add("audited, structures", BURST, |calls| timed(calls, || call(ways::structured)));
        wait(audit, 0);
        table.add("audited, fails", BURST, |calls| timed(calls, || call(ways::refused)));
        wait(audit, 0);
        table.add("audited, async", BURST, |calls| timed(calls, || call(ways::awaited)));
        wait(audit, 0);
        table.add("audited, in a context", BURST, |calls| {
            let _request =
                Context::new().actor("user:ann").attribute("request", "a1").attribute("client", "web").enter();
            timed(calls, || call(ways::requested))
        });
        wait(audit, 0);
        // The gain of two threads that share nothing, which is the most that the machine gives.
        table.add("serde_json of the fields", BURST, |calls| timed(calls, encode));
        table.add("serde_json of the fields, two threads", 2 * BURST, |calls| timed_on_two(calls, encode));
        table.add("nested, audited", NESTED, |calls| timed(calls, || value(black_box(&nested))));
        wait(audit, 0);
        table.add("nested, serde_json::to_vec", NESTED, |calls| {
            timed(calls, || serde_json::to_vec(black_box(&nested)).unwrap())
        });
        table.add("audited, when is false", MANY, |calls| timed(calls, || call(ways::unwanted)));
        let traced = |calls| json.log(|| timed(calls, || call(ways::traced)));
        traced(SOME);
        table.add("tracing, JSON", SOME, traced);
        std::thread::sleep(SETTLED);
        let fast_traced = |calls| timed(calls, || ways::root_span(|| call(ways::fast_traced)));
        fast_traced(4 * SOME);
        table.add("fastrace", SOME, fast_traced);
        fastrace::flush();
        table.add("fastrace, collector idle", SOME, fast_traced);
        fastrace::flush();
        let opened = |calls| timed(calls, || call(|order| ways::open(&tracer, order)));
        opened(SOME);
        table.add("OpenTelemetry, batch", SOME, opened);
        std::thread::sleep(SETTLED);
        table.add("INSERT, awaited", FEW, |calls| {
            timed(calls, || runtime.block_on(ways::insert(&database.pool, &Order::default())))
        });
    }
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let cluster = Cluster::start(Config { settings: "shared_buffers = 1GB\nmax_wal_size = 8GB", ..Config::default() });
    let database = runtime.block_on(Database::migrated_in(&cluster));
    runtime.block_on(ways::make_plain_table(&database));
    let mut table = Table::default();
    uninstalled(&mut table);
    let audit = ways::start(&database);
    audit.install().unwrap();
    installed(&mut table, &audit, &runtime, &database);
    for (way, rounds) in &table.0 {
        println!("{way:<40} {:>10.1} ns", rounds.median());
    }
    audit.flush_blocking().unwrap();
    let stats = audit.stats();
    assert_eq!((stats.refused, stats.quarantined), (0, 0));
    runtime.block_on(ways::all_rows_are_whole(&database, stats.recorded));
    audit.shutdown_blocking(Duration::from_secs(10)).unwrap();
    results::keep("capture", &table.to_json());
}
