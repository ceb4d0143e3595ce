//! From recorded to committed: rows a second into the partitioned, indexed table, sealed. Compared
//! are psql's `\copy` of the same rows and the existing system's helper. It also measures the
//! writer's own cost, and the memory of ten million pending events.
//!
//! Each measurement has a database of its own. Every row is counted, looked at, and verified
//! against its batch's seal.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

mod results;

use audit_runtime::{Audit, Builder, audited};
use results::Rounds;
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database, python};
use uuid::Uuid;

/// Rows of one measurement, and how often each is repeated, in turns.
const ROWS: u32 = 200_000;
const ROUNDS: usize = 5;
/// Rows of the existing helper's measurements, which is slow.
const HELPERS_ROWS: u32 = 20_000;
/// Events that wait while their memory is measured.
const PENDING: u32 = 10_000_000;

#[audited(event = "order.submitted", actor = "broker_service")]
fn submit(
    order_id: Uuid,
    ticker: &str,
    quantity: u32,
    side: &str,
    limit_price: Option<f64>,
) -> Result<u64, std::fmt::Error> {
    Ok(black_box(4))
}

fn record(audit: &Audit, rows: u32) {
    let _entered = audit.enter();
    for number in 0..rows {
        submit(Uuid::now_v7(), "AAPL", number, "buy", Some(187.25)).unwrap();
    }
}

/// The processor time of the threads of this name, in microseconds.
fn processor_time(thread: &str) -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let times = tasks.filter_map(|task| {
        let comm = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let time = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        (comm.trim() == thread).then(|| time.split(' ').next()?.parse::<f64>().ok())?
    });
    times.sum::<f64>() / 1e3
}

/// The measurements of one run: rows a second, and the writer's microseconds of processor a row.
#[derive(Default)]
struct Run {
    rates: Rounds,
    processor: Rounds,
}

impl Run {
    fn to_json(&self) -> Value {
        json!({"rows_a_second": self.rates.to_json(), "writers_processor_us_a_row": self.processor.to_json()})
    }
}

/// Records, and waits until all is committed.
async fn shipped(cluster: &Cluster, run: &mut Run, settings: impl FnOnce(Builder) -> Builder) -> Database {
    let database = Database::migrated_in(cluster).await;
    let audit = settings(database.audit().segment_bytes(16 << 20)).start().unwrap();
    // Connected, and the tables known.
    record(&audit, 1);
    audit.flush().await.unwrap();
    let (begin, processor) = (Instant::now(), processor_time("audit-writer"));
    record(&audit, ROWS - 1);
    audit.flush().await.unwrap();
    let (took, processor) = (begin.elapsed(), processor_time("audit-writer") - processor);
    run.rates.add(f64::from(ROWS - 1) / took.as_secs_f64());
    run.processor.add(processor / f64::from(ROWS - 1));
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let whole = "SELECT count(*) FROM audit_events WHERE event_type = 'order.submitted' AND actor = 'broker_service' AND outcome = 'ok' \
        AND duration_us >= 0 AND correlation_id = id AND batch_id IS NOT NULL AND data = jsonb_build_object('order_id', entity_id, 'ticker', \
        'AAPL', 'quantity', data->'quantity', 'side', 'buy', 'limit_price', 187.25, 'result', 4)";
    assert_eq!(database.count(whole).await, i64::from(ROWS));
    database
}

/// [`shipped`] into a database of which nothing else is wanted.
async fn shipped_once(cluster: &Cluster, run: &mut Run, settings: impl FnOnce(Builder) -> Builder) {
    let database = shipped(cluster, run, settings).await;
    dropped(cluster, database).await;
}

/// Drops a database that was measured: else autovacuum goes over it while the next one is, on the
/// second of two processors.
async fn dropped(cluster: &Cluster, database: Database) {
    database.pool.close().await;
    let (_, name) = database.url.rsplit_once('/').unwrap();
    psql(cluster, &cluster.url("postgres"), &format!("DROP DATABASE {name} WITH (FORCE)"));
}

fn psql(cluster: &Cluster, url: &str, command: &str) {
    let output = cluster.psql(url).args(["--command", command]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `\copy` of the rows of another database, as psql makes it: one connection, one transaction.
async fn copied(cluster: &Cluster, rates: &mut Rounds, source: Database, file: &Path) {
    let file = file.display();
    psql(cluster, &source.url, &format!("\\copy (SELECT * FROM audit_events ORDER BY created_at) TO '{file}'"));
    dropped(cluster, source).await;
    let database = Database::migrated_in(cluster).await;
    let begin = Instant::now();
    psql(cluster, &database.url, &format!("\\copy audit_events FROM '{file}'"));
    rates.add(f64::from(ROWS) / begin.elapsed().as_secs_f64());
    assert_eq!(database.events().await, i64::from(ROWS));
    dropped(cluster, database).await;
}

/// The existing system's helper, on a pool of ten, or nothing where Python is missing.
async fn helped(cluster: &Cluster, rates: &mut Rounds) {
    let database = Database::migrated_in(cluster).await;
    let Some(mut command) = python::existing(&database.url, &["many", &HELPERS_ROWS.to_string(), "10"]) else {
        return;
    };
    let output = command.output().unwrap();
    let seconds: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    rates.add(f64::from(HELPERS_ROWS) / seconds);
    assert_eq!(database.events().await, i64::from(HELPERS_ROWS));
    dropped(cluster, database).await;
}

/// Memory of this process that belongs to no file, in KiB.
fn anonymous_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Anonymous memory before and with many events pending while PostgreSQL is out of reach, in MiB.
async fn pending() -> (f64, f64) {
    let journal = tempfile::tempdir().unwrap();
    let audit = Audit::builder()
        .postgres("postgres://postgres@127.0.0.1:1/x")
        .journal(journal.path())
        .journal_limit(16 << 30)
        .start()
        .unwrap();
    record(&audit, 10_000);
    let idle = anonymous_memory();
    record(&audit, PENDING);
    let full = anonymous_memory();
    let stats = audit.stats();
    assert_eq!((stats.pending, stats.refused), (u64::from(PENDING) + 10_000, 0));
    audit.shutdown(Duration::ZERO).await.unwrap();
    (idle / 1024.0, full / 1024.0)
}

#[tokio::main]
async fn main() {
    let (idle, full) = pending().await;
    println!("anonymous memory: {idle:.1} MiB idle, {full:.1} MiB with {PENDING} events pending");
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB";
    let cluster = Cluster::start(Config { settings, ..Config::default() });
    let file = tempfile::NamedTempFile::new().unwrap();
    let (mut copy, mut helper, mut sealed, mut unsealed) =
        (Rounds::default(), Rounds::default(), Run::default(), Run::default());
    let mut lazy = Run::default();
    for _ in 0..ROUNDS {
        let database = shipped(&cluster, &mut sealed, |builder| builder).await;
        database.is_unharmed().await;
        copied(&cluster, &mut copy, database, file.path()).await;
        shipped_once(&cluster, &mut unsealed, Builder::without_seal).await;
        shipped_once(&cluster, &mut lazy, |builder| builder.synchronous_commit(false)).await;
        helped(&cluster, &mut helper).await;
    }
    let line = |name: &str, rates: &Rounds| {
        println!("{name:<28} {:>9.0} rows/s  {:.2} of \\copy", rates.median(), rates.median() / copy.median())
    };
    line("psql \\copy", &copy);
    line("audit-runtime", &sealed.rates);
    line("audit-runtime, unsealed", &unsealed.rates);
    line("audit-runtime, synchronous_commit off", &lazy.rates);
    line("existing helper, pool of 10", &helper);
    println!(
        "writer's processor: {:.2} us a row, {:.2} unsealed",
        sealed.processor.median(),
        unsealed.processor.median()
    );
    let mut sizes = Vec::new();
    for connections in [1, 2, 4] {
        for batch in [250, 1_000, 5_000, 20_000] {
            let mut run = Run::default();
            shipped_once(&cluster, &mut run, |builder| builder.connections(connections).batch_rows(batch)).await;
            println!("{connections} connections, batches of {batch:>6}: {:>9.0} rows/s", run.rates.median());
            sizes.push(json!({"connections": connections, "batch_rows": batch, "run": run.to_json()}));
        }
    }
    results::keep(
        "writer",
        &json!({
            "rows": ROWS, "copy": copy.to_json(), "sealed": sealed.to_json(), "unsealed": unsealed.to_json(), "lazy": lazy.to_json(),
            "helper": helper.to_json(), "sizes": sizes, "memory": {"events": PENDING, "idle_mib": idle, "pending_mib": full},
        }),
    );
}
