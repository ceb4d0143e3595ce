//! The cost of sealing for the writer, and the speed of verification.
//!
//! `scripts/seal.sh [millions of rows]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::evidence::SigningKey;
use audit_runtime::{Audit, audited};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::programs::beside;
use tests::{Cluster, Config, Database};
use uuid::Uuid;

/// Rows of one measurement.
const ROWS: u32 = 500_000;
const ROUNDS: usize = 3;

#[audited(event = "order.submitted", actor = "broker_service")]
fn submit(
    order_id: Uuid,
    ticker: &str,
    quantity: f64,
    side: &str,
    limit_price: Option<f64>,
) -> Result<u64, std::fmt::Error> {
    Ok(ticker.len() as u64)
}

fn record(audit: &Audit, rows: u32) {
    let _entered = audit.enter();
    for number in 0..rows {
        submit(Uuid::now_v7(), "AAPL", f64::from(number), "buy", Some(187.25)).unwrap();
    }
}

/// The processor time of this process, in microseconds.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Records first, because the journal accepts it all. Then the writer alone is measured. Rows a
/// second, and its processor time a row.
async fn shipped(database: &Database, is_sealed: bool) -> (f64, f64) {
    let nowhere = database.audit().segment_bytes(1 << 24).journal_limit(4 << 30);
    let nowhere = nowhere.postgres("postgres://postgres@127.0.0.1:1/x").start().unwrap();
    record(&nowhere, ROWS);
    let report = nowhere.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!((report.left_in_journal, report.refused), (u64::from(ROWS), 0));
    let builder = database.audit().segment_bytes(1 << 24);
    let builder = if is_sealed { builder } else { builder.without_seal() };
    let (begin, processor) = (Instant::now(), processor_time());
    let audit = builder.start().unwrap();
    while audit.stats().adopted < u64::from(ROWS) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (took, processor) = (begin.elapsed(), processor_time() - processor);
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    (f64::from(ROWS) / took.as_secs_f64(), processor / f64::from(ROWS))
}

/// Runs the command, and returns the most memory it had, in KiB, and its output.
fn verify(command: &PathBuf, database: &Database, key: &SigningKey) -> (u64, String) {
    let child = Command::new(command)
        .args(["verify", "--public-key", &key.public().to_string(), "--database-url", &database.url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while let Ok(status) = std::fs::read_to_string(&status) {
            let peak = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
            let Some(peak) = peak else { break };
            most = most.max(peak);
            std::thread::sleep(Duration::from_millis(20));
        }
        most
    });
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    (watch.join().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::main]
async fn main() {
    let millions: u32 = std::env::args().nth(1).map_or(5, |millions| millions.parse().unwrap());
    let settings = "shared_buffers = 1GB\nmax_wal_size = 8GB";
    let cluster = Cluster::start(Config { settings, ..Config::default() });
    let mut rates: [Vec<(f64, f64)>; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (sealed, rates) in rates.iter_mut().enumerate() {
            // A database of its own each: what is in it already costs, too.
            let database = Database::migrated_in(&cluster).await;
            rates.push(shipped(&database, sealed == 1).await);
        }
    }
    for (what, mut rates) in ["sealing off", "sealing on"].into_iter().zip(rates) {
        rates.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (rate, processor) = rates[ROUNDS / 2];
        println!(
            "{what:<12} {rate:>9.0} rows/s  {processor:.2} microseconds of processor a row  (median of {ROUNDS}, {ROWS} rows, one connection)"
        );
    }
    let database = Database::migrated_in(&cluster).await;
    let audit = database.audit().segment_bytes(1 << 24).journal_limit(8 << 30).start().unwrap();
    let begin = Instant::now();
    record(&audit, millions * 1_000_000);
    audit.shutdown(Duration::from_secs(600)).await.unwrap();
    let rows = f64::from(millions) * 1e6;
    println!("{rows:.0} rows recorded and stored, two connections: {:.0} rows/s", rows / begin.elapsed().as_secs_f64());
    sqlx::raw_sql("VACUUM ANALYZE").execute(&database.pool).await.unwrap();
    let key = SigningKey::generate("seal").unwrap();
    let begin = Instant::now();
    database.admin().checkpoint(&key).await.unwrap();
    println!("checkpoint of them: {:.2} s", begin.elapsed().as_secs_f64());
    let command = beside("audit-trail");
    for _ in 0..2 {
        let (memory, report) = verify(&command, &database, &key);
        println!("{report}peak memory   {:.1} MiB", memory as f64 / 1024.0);
    }
}
