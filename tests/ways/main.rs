//! The load of many small services on PostgreSQL, by each way to it: `scripts/ways.sh` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

mod way;

use audit_runtime::admin::Admin;
use audit_runtime::sqlx::{self, PgPool};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::programs::beside;
use tests::{Cluster, Config, processor};
use way::{Kind, Way};

/// Events a second of each service.
const EVENTS: u32 = 50;

fn main() {
    let arguments: Vec<u32> =
        std::env::args().skip(1).map(|number| number.parse().expect("seconds, and numbers of services")).collect();
    let [seconds, services @ ..] = &*arguments else { panic!("seconds, and numbers of services") };
    // Direct services have two connections each, while there is a backlog.
    let cluster = Cluster::start(Config { settings: "max_connections = 900", hba: None });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("{EVENTS} events a second of each service, for {seconds} s\n");
    println!(
        "| services | way | transactions a second | connections | PostgreSQL, us a row | between, us a row | stored after, p50 | p99 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for services in services {
        for kind in Kind::ALL {
            runtime.block_on(measure(kind, &cluster, *services, *seconds));
        }
    }
}

/// Runs so many services, and prints a line of what they cost.
async fn measure(kind: Kind, cluster: &Cluster, services: u32, seconds: u32) {
    let database = format!("ways_{}", uuid::Uuid::now_v7().simple());
    let postgres = PgPool::connect(&cluster.url("postgres")).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&postgres).await.unwrap();
    let pool = PgPool::connect(&cluster.url(&database)).await.unwrap();
    Admin::new(pool.clone()).migrate().await.unwrap();
    let mut way = Way::start(kind, cluster, &database).await;
    let committed = async || -> i64 {
        let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = $1";
        sqlx::query_scalar(sql).bind(&database).fetch_one(&postgres).await.unwrap()
    };
    let (before, postmaster) = (committed().await, cluster.postmaster());
    let used = (processor::with_children(postmaster), way.used());
    let journals = tempfile::tempdir_in(Path::new(".")).unwrap();
    let children: Vec<_> = (0..services)
        .map(|number| {
            let directory = journals.path().join(number.to_string());
            std::fs::create_dir(&directory).unwrap();
            let mut program = Command::new(beside("way-program"));
            program.arg(way.url()).arg(directory).args([EVENTS.to_string(), seconds.to_string()]);
            program.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    // The services are at work.
    tokio::time::sleep(Duration::from_secs(u64::from(3 + seconds / 2))).await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";
    let connections: i64 = sqlx::query_scalar(sql).bind(&database).fetch_one(&pool).await.unwrap();
    let mut waits = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", output.status);
        let printed = String::from_utf8(output.stdout).unwrap();
        waits.extend(printed.lines().map(|line| line.parse::<f64>().unwrap() / 1e3));
    }
    let between = way.used() - used.1;
    // Sessions report their counts when they end.
    way.end();
    pool.close().await;
    let (server, transactions) = (processor::with_children(postmaster) - used.0, committed().await - before);
    let pool = PgPool::connect(&cluster.url(&database)).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, i64::from(services * EVENTS * seconds));
    waits.sort_unstable_by(f64::total_cmp);
    let part = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
    let a_row = |used: Duration| used.as_secs_f64() * 1e6 / rows as f64;
    println!(
        "| {services} | {} | {:.0} | {connections} | {:.0} | {:.0} | {:.0} ms | {:.0} ms |",
        kind.words(),
        transactions as f64 / f64::from(seconds),
        a_row(server),
        a_row(between),
        part(0.5),
        part(0.99)
    );
    pool.close().await;
    let drop = format!("DROP DATABASE {database} WITH (FORCE)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&postgres).await.unwrap();
    postgres.close().await;
}
