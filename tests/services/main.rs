//! The load of many small services on one server, by programs of two revisions in turns:
//! `scripts/services.sh` compiles them.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

use audit_runtime::admin::Admin;
use audit_runtime::sqlx::{self, PgPool};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::{Cluster, Config};

/// Events a second of each service.
const EVENTS: u32 = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, old, new, services, seconds, rounds] = &*arguments else {
        panic!("two programs, services, seconds, and how many rounds")
    };
    let [services, seconds, rounds] = [services, seconds, rounds].map(|number| number.parse::<u32>().unwrap());
    let cluster = Cluster::start(Config { settings: "max_connections = 400", hba: None });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("{services} services, {EVENTS} events a second each, for {seconds} s");
    println!(
        "{:<4} {:>14} {:>16} {:>12} {:>12} {:>12} {:>12}",
        "", "transactions/s", "processor, s/s", "lag p50, ms", "lag max, ms", "wait p50, ms", "wait p99, ms"
    );
    for round in 0..rounds as usize {
        for which in [round % 2, 1 - round % 2] {
            let program = [old, new][which];
            runtime.block_on(measure(["old", "new"][which], program, &cluster, services, seconds));
        }
    }
}

async fn measure(name: &str, program: &str, cluster: &Cluster, services: u32, seconds: u32) {
    let database = format!("services_{}", uuid::Uuid::now_v7().simple());
    let postgres = PgPool::connect(&cluster.url("postgres")).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&postgres).await.unwrap();
    let url = cluster.url(&database);
    let pool = PgPool::connect(&url).await.unwrap();
    Admin::new(pool.clone()).migrate().await.unwrap();
    let committed = async || -> i64 {
        let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = $1";
        sqlx::query_scalar(sql).bind(&database).fetch_one(&postgres).await.unwrap()
    };
    let (before, busy, begin) = (committed().await, busy(), Instant::now());
    let journals = tempfile::tempdir_in(Path::new(".")).unwrap();
    let children: Vec<_> = (0..services)
        .map(|number| {
            let directory = journals.path().join(number.to_string());
            std::fs::create_dir(&directory).unwrap();
            let numbers = [EVENTS.to_string(), seconds.to_string()];
            Command::new(program).arg(&url).arg(directory).args(numbers).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut waits = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let printed = String::from_utf8(output.stdout).unwrap();
        waits.extend(printed.lines().map(|line| line.parse::<f64>().unwrap() / 1e3));
    }
    let (took, used) = (begin.elapsed().as_secs_f64(), (self::busy() - busy).as_secs_f64());
    // Sessions report their counts when they end, and the services have.
    let transactions = (committed().await - before) as f64 / took;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, i64::from(services * EVENTS * seconds));
    let mut lags: Vec<f64> = sqlx::query_scalar(
        "SELECT (extract(epoch FROM created_at - first_event_at) * 1000)::float8 FROM audit_batches",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    lags.sort_unstable_by(f64::total_cmp);
    waits.sort_unstable_by(f64::total_cmp);
    let part = |values: &[f64], part: f64| values[((values.len() - 1) as f64 * part) as usize];
    println!(
        "{name:<4} {transactions:>14.0} {:>16.2} {:>12.1} {:>12.1} {:>12.1} {:>12.1}",
        used / took,
        part(&lags, 0.5),
        part(&lags, 1.0),
        part(&waits, 0.5),
        part(&waits, 0.99)
    );
    pool.close().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP DATABASE {database} WITH (FORCE)")))
        .execute(&postgres)
        .await
        .unwrap();
    postgres.close().await;
}

/// The time that the machine's processors have worked, for whatever it was.
fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let ticks: Vec<u64> = stat.lines().next().unwrap().split_whitespace().skip(1).flat_map(str::parse).collect();
    // user, nice, system; 100 ticks a second on every Linux.
    Duration::from_millis((ticks[0] + ticks[1] + ticks[2]) * 10)
}
