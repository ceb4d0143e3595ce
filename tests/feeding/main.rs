//! Feeds to a file and to an HTTP endpoint, while the recorder, the feeds, the endpoint, the server and
//! the network are killed or cut at random. At the end both targets have every stored event.
//!
//! `scripts/feed.sh [minutes]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

mod receiver;

use audit_runtime::admin::Admin;
use audit_runtime::sqlx::{self, Connection, PgConnection};
use audit_runtime::{Event, Overflow};
use rand::prelude::*;
use receiver::Receiver;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::programs::{beside, destination};
use tests::{Cluster, Config, Proxy, Rule, wait};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, url, journals] = &*arguments {
        return record(url, Path::new(journals));
    }
    let minutes: f64 = arguments.get(1).map_or(1.0, |minutes| minutes.parse().expect("minutes, as a number"));
    feed(Duration::from_secs_f64(minutes * 60.0));
}

/// Records events until standard input ends.
fn record(url: &str, journals: &Path) {
    let audit = destination(url)
        .journal(journals)
        .segment_bytes(1 << 20)
        .batch_rows(if std::process::id().is_multiple_of(2) { 20 } else { 2_000 })
        .overflow(Overflow::Wait(Duration::from_secs(10)))
        .service("feeding")
        .start()
        .unwrap();
    let (ends, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ends.send(());
    });
    let mut number = 0_u64;
    while ended.try_recv().is_err() {
        for _ in 0..50 {
            number += 1;
            audit.record(Event::new("call.made").data(&serde_json::json!({"number": number}))).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    audit.shutdown_blocking(Duration::from_secs(300)).unwrap();
}

/// A process that is killed, and started again.
struct Process {
    child: Child,
    start: Box<dyn Fn() -> Child>,
}

impl Process {
    fn new(start: impl Fn() -> Child + 'static) -> Self {
        Self { child: start(), start: Box::new(start) }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = (self.start)();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Default)]
struct Counts {
    recorders: usize,
    feeds: usize,
    servers: usize,
    cuts: usize,
    receivers: usize,
    held_open: usize,
}

fn feed(time: Duration) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(Config { settings: "max_wal_size = 4GB", hba: None });
    let proxy = Proxy::start(cluster.port());
    let direct = cluster.url("postgres");
    runtime.block_on(async {
        let pool = sqlx::PgPool::connect(&direct).await.unwrap();
        Admin::new(pool.clone()).migrate().await.unwrap();
        pool.close().await;
    });
    let url = proxy.url("postgres");
    let journals = directory.path().join("journals");
    let mut receiver = Receiver::start(0, seed);
    let file = directory.path().join("events.ndjson");
    let mut recorder = recorder(&url, &journals);
    let mut feeds = [
        forward(&url, vec!["--to".into(), file.to_str().unwrap().into(), "--rotate".into(), "4".into()]),
        forward(&url, vec!["--to".into(), format!("http://127.0.0.1:{}/", receiver.port()), "--no-gzip".into()]),
    ];
    let (mut counts, end) = (Counts::default(), Instant::now() + time);
    let mut open: Vec<(Instant, PgConnection)> = Vec::new();
    while Instant::now() < end {
        // Random pauses are the load's rhythm, not a wait for anything.
        std::thread::sleep(Duration::from_millis(random.random_range(50..2_000)));
        match random.random_range(0..12) {
            0 => {
                recorder.kill();
                counts.recorders += 1;
            }
            1..5 => {
                feeds[random.random_range(0..2)].kill();
                counts.feeds += 1;
            }
            5 => {
                open.clear();
                if random.random() {
                    cluster.kill()
                } else {
                    cluster.down()
                }
                cluster.up();
                counts.servers += 1;
            }
            6 => {
                proxy.cut();
                counts.cuts += 1;
            }
            7 => {
                proxy.rule(Rule::LoseCommitAnswers);
                counts.cuts += 1;
            }
            8 => {
                receiver = receiver.restart();
                counts.receivers += 1;
            }
            _ => {
                if let Some(connection) = runtime.block_on(insert(&direct)) {
                    open.push((Instant::now() + Duration::from_millis(random.random_range(0..60_000)), connection));
                    counts.held_open += 1;
                }
            }
        }
        for (until, mut connection) in std::mem::take(&mut open) {
            if until > Instant::now() {
                open.push((until, connection));
            } else {
                let _ = runtime.block_on(sqlx::raw_sql("COMMIT").execute(&mut connection));
            }
        }
        if random.random_bool(0.6) {
            proxy.rule(Rule::Pass);
            proxy.cut();
        }
    }
    proxy.rule(Rule::Pass);
    proxy.cut();
    receiver.behave();
    for (_, mut connection) in open {
        let _ = runtime.block_on(sqlx::raw_sql("COMMIT").execute(&mut connection));
    }
    drop(recorder.child.stdin.take());
    wait::until_within(Duration::from_secs(600), "the recorder ends", || recorder.child.try_wait().unwrap());
    // One more process adopts what killed ones left.
    let mut last = (recorder.start)();
    wait::until_within(Duration::from_secs(600), "the journals are adopted", || {
        let directories = std::fs::read_dir(&journals).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
        (directories <= 1).then_some(())
    });
    drop(last.stdin.take());
    last.wait().unwrap();
    wait::until_within(Duration::from_secs(600), "both feeds are at the end", || {
        runtime.block_on(is_at_the_end(&direct)).then_some(())
    });
    drop(feeds);
    report(
        &runtime.block_on(stored(&direct)),
        &[("file", in_files(directory.path())), ("http", receiver.taken())],
        &counts,
    );
}

fn recorder(url: &str, journals: &Path) -> Process {
    let (url, journals) = (url.to_owned(), journals.to_owned());
    Process::new(move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(&url).arg(&journals).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    })
}

fn forward(url: &str, arguments: Vec<String>) -> Process {
    let url = url.to_owned();
    Process::new(move || {
        let mut command = Command::new(beside("audit-trail"));
        command.args(["forward", "--from", "beginning"]).args(&arguments).env("DATABASE_URL", &url);
        command.stderr(Stdio::null()).spawn().unwrap()
    })
}

/// Inserts rows without a batch, in a transaction that stays open.
async fn insert(url: &str) -> Option<PgConnection> {
    let mut connection = PgConnection::connect(url).await.ok()?;
    let insert = "BEGIN; INSERT INTO audit_events (id, event_type, entity_type, actor, data) \
         SELECT gen_random_uuid(), 'raw.row', 'x', 'x', '{}' FROM generate_series(1, 7)";
    sqlx::raw_sql(insert).execute(&mut connection).await.ok()?;
    Some(connection)
}

async fn is_at_the_end(url: &str) -> bool {
    let Ok(pool) = sqlx::PgPool::connect(url).await else { return false };
    let unsealed = "SELECT count(*) FROM audit_events e WHERE batch_id IS NULL AND NOT EXISTS (SELECT FROM audit_late l WHERE l.event_id = e.id)";
    let mut is_at = matches!(sqlx::query_scalar::<_, i64>(unsealed).fetch_one(&pool).await, Ok(0));
    for feed in audit_runtime::feed::Feeds::new(pool.clone()).list().await.unwrap_or_default() {
        let lag = audit_runtime::feed::Lag::read(&pool, &feed.position.parse().unwrap()).await;
        is_at &= lag.is_ok_and(|lag| lag.events == 0);
    }
    pool.close().await;
    is_at
}

async fn stored(url: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT id::text FROM audit_events").fetch_all(&mut connection).await.unwrap()
}

/// The lines of the file and of those that were rotated.
fn in_files(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("events.ndjson");
    let texts = files.filter(ours).map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn report(stored: &[String], targets: &[(&str, Vec<String>)], counts: &Counts) {
    let mut all_lost = 0;
    let mut line = format!("events {}", stored.len());
    for (name, lines) in targets {
        let mut times: HashMap<String, Vec<&String>> = HashMap::new();
        for line in lines {
            let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            times.entry(event["id"].as_str().unwrap().to_owned()).or_default().push(line);
        }
        let lost = stored.iter().filter(|id| !times.contains_key(*id)).count();
        let doubled: usize = times.values().map(|lines| lines.len() - 1).sum();
        // A repeated event is the same, to the last byte.
        let differ = times.values().filter(|lines| lines.iter().any(|line| *line != lines[0])).count();
        assert_eq!(times.len() + lost, stored.len(), "{name} has events that are not stored");
        line +=
            &format!(", {name}: lost {lost} doubled {doubled} (with equal ids, {differ} of them with another text)");
        all_lost += lost + differ;
    }
    let Counts { recorders, feeds, servers, cuts, receivers, held_open } = counts;
    println!(
        "{line}; killed: recorders {recorders} feeds {feeds} servers {servers} receivers {receivers}; cuts {cuts}; transactions held open {held_open}"
    );
    assert!(all_lost == 0 && !stored.is_empty());
}
