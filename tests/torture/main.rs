//! Random kills of the recording process, the server and the network, under load, for as long as
//! one likes. At the end every call that returned has to have exactly one row.
//!
//! `scripts/torture.sh [minutes] [--relay | --broker [nodes]]` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

mod backups;
mod neighbours;
mod recorder;
mod way;

use audit_runtime::admin::{Admin, Progress};
use audit_runtime::evidence::Verification;
use audit_runtime::sqlx;
use backups::Backups;
use rand::prelude::*;
use recorder::{Returned, THREADS};
use sqlx::{Connection, PgConnection, PgPool};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Proxy, Rule, wait};
use way::{Between, Way};

#[derive(Debug, Default)]
struct Counts {
    kills: usize,
    restarts: usize,
    silences: usize,
    one_shots: usize,
    forged: u64,
    forgeries: usize,
    hidden: usize,
    swallows: usize,
    restored: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, _, run, url, journals, returned] = &*arguments {
        return neighbours::shoot(run, url, Path::new(journals), Path::new(returned));
    }
    if let [_, run, url, journals, returned] = &*arguments {
        return recorder::record(run, url, Path::new(journals), Path::new(returned));
    }
    let minutes: f64 = arguments.get(1).map_or(1.0, |minutes| minutes.parse().expect("minutes, as a number"));
    let nodes = arguments.get(3).map_or(1, |nodes| nodes.parse().expect("1 or 3, as a number of nodes"));
    let between = match arguments.get(2).map(String::as_str) {
        None => Between::Nothing,
        Some("--relay") => Between::Relay,
        Some("--broker") => Between::Broker { nodes },
        Some(other) => panic!("{other} is no option; options are --relay and --broker"),
    };
    torture(Duration::from_secs_f64(minutes * 60.0), between);
}

/// The recording process: this program again.
struct Recorder {
    child: Child,
}

impl Recorder {
    fn start(run: usize, url: &str, directory: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([run.to_string(), url.to_owned()])
            .arg(directory.join("journals"))
            .arg(directory.join(format!("returned-{run}")))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Has it end in good order: it shuts its trail down when its input does.
    fn finish(&mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn torture(time: Duration, between: Between) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(Config { settings: "max_wal_size = 4GB", hba: None });
    let proxy = Proxy::start(cluster.port());
    let mut direct = cluster.url("postgres");
    runtime.block_on(async {
        let pool = sqlx::PgPool::connect(&direct).await.unwrap();
        Admin::new(pool.clone()).migrate().await.unwrap();
        neighbours::prepare(&pool).await;
        pool.close().await;
    });

    let mut way = Way::start(between, &proxy.url("postgres"), seed, &runtime);
    let url = way.url(&proxy.url("postgres"));
    let mut counts = Counts::default();
    let mut runs = 1;
    let mut next_run = || {
        runs += 1;
        runs - 1
    };
    let mut recorder = Recorder::start(0, &url, directory.path());
    let mut one_shots = Vec::new();
    let end = Instant::now() + time;
    let mut backups = way.is_read_again().then(|| Backups::begin(time));
    while Instant::now() < end {
        if let Some(restored) = backups.as_mut().and_then(|backups| backups.turn(&cluster)) {
            cluster.kill();
            proxy.cut();
            // Before a relay reaches the restored one, as docs/fleet.md says.
            way.read_again(&runtime);
            cluster = restored.run();
            direct = cluster.url("postgres");
            proxy.target(cluster.port());
            counts.restored += 1;
        }
        way.keeps_all(backups.as_ref().is_some_and(Backups::has_one));
        // Random pauses are the load's rhythm, not a wait for anything.
        std::thread::sleep(Duration::from_millis(random.random_range(50..4_000)).min(end - Instant::now()));
        way.interfere(&mut random, &runtime);
        match random.random_range(0..15) {
            0..3 => {
                recorder.kill();
                counts.kills += 1;
                recorder = Recorder::start(next_run(), &url, directory.path());
            }
            3 => {
                if random.random() {
                    cluster.kill();
                } else {
                    cluster.down();
                }
                counts.restarts += 1;
                std::thread::sleep(Duration::from_millis(random.random_range(0..1_500)));
                cluster.up();
            }
            4 => runtime.block_on(terminate_backends(&direct)),
            5 => proxy.cut(),
            6 => proxy.rule(Rule::CutAfterSent(random.random_range(0..400_000))),
            7 => proxy.rule(Rule::CutAfterReceived(random.random_range(0..2_000))),
            8 => proxy.rule(Rule::LoseCommitAnswers),
            9 => {
                counts.silences += 1;
                if random.random() {
                    proxy.forget();
                } else {
                    proxy.rule(Rule::SilentAfterSent(random.random_range(0..400_000)));
                }
            }
            10 => {
                counts.swallows += 1;
                runtime.block_on(neighbours::swallow(&direct, true));
                std::thread::sleep(Duration::from_millis(random.random_range(0..1_000)));
                runtime.block_on(neighbours::swallow(&direct, false));
            }
            11 => {
                counts.forgeries += 1;
                counts.forged += runtime.block_on(neighbours::forge(&direct));
            }
            12 => {
                counts.hidden += 1;
                neighbours::hide(&directory.path().join("journals"), &mut random);
            }
            13 => {
                for _ in 0..random.random_range(1..10) {
                    counts.one_shots += 1;
                    one_shots.push(neighbours::one_shot(next_run(), &url, directory.path()));
                }
            }
            _ => proxy.rule(Rule::Stall),
        }
        one_shots.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if random.random_bool(0.6) {
            proxy.rule(Rule::Pass);
            // A stalled connection would be waited for by its timeout.
            proxy.cut();
        }
    }
    proxy.rule(Rule::Pass);
    proxy.cut();
    way.rest();
    one_shots.iter_mut().for_each(|child| drop(child.wait()));
    recorder.finish();
    let last = next_run();
    // One more start adopts what is left of those that were killed.
    let left = journals(directory.path());
    let mut adopter = Recorder::start(last, &url, directory.path());
    // The one journal that stays is the adopter's own, which it may not have made yet.
    wait::until_within(Duration::from_hours(1), "the journals are adopted", || {
        let now = journals(directory.path());
        (now.len() == 1 && now.is_disjoint(&left)).then_some(())
    });
    adopter.finish();
    assert_eq!(journals(directory.path()).len(), 0, "every journal was shipped and removed");
    let dropped = runtime.block_on(neighbours::retry(&direct));
    let returned: Vec<_> =
        (0..=last).map(|run| Returned::read(&directory.path().join(format!("returned-{run}")))).collect();
    runtime.block_on(every_intent_has_one_end(&direct));
    let problems = runtime.block_on(broken_seals(&direct));
    let rows = runtime.block_on(rows(&direct));
    runtime.block_on(nothing_was_refused(&direct));
    println!(
        "silences {} one-shots {} directories away {} triggers {} rows dropped and stored later {dropped} forgeries {} taken {} \
         base backups restored {}",
        counts.silences,
        counts.one_shots,
        counts.hidden,
        counts.swallows,
        counts.forgeries,
        counts.forged,
        counts.restored
    );
    assert_eq!(counts.forged, 0, "a forged batch was taken");
    way.tell();
    report(&returned, &rows, &counts, proxy.cuts());
    assert_eq!(problems, 0, "the seals hold");
}

fn journals(directory: &Path) -> HashSet<PathBuf> {
    let entries = std::fs::read_dir(directory.join("journals")).unwrap();
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

async fn terminate_backends(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'audit-runtime'";
    sqlx::query(terminate).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Verifies the trail, prints what is wrong with it, and returns how many problems that are.
async fn broken_seals(url: &str) -> u64 {
    let pool = PgPool::connect(url).await.unwrap();
    let tell = |step: Progress<'_>| {
        if let Progress::Found(finding) = step {
            println!("{finding}");
        }
    };
    let report = Admin::new(pool.clone()).verify(&Verification::new(), tell).await.unwrap();
    println!("sealed {} problems {}", report.rows, report.problems);
    // Batches that were stored before at least sixteen that precede them.
    let ahead = "SELECT count(*) FROM audit_batches WHERE octet_length(open_positions) >= 128";
    let ahead: i64 = sqlx::query_scalar(ahead).fetch_one(&pool).await.unwrap();
    println!("batches ahead of a backlog {ahead}");
    report.problems
}

/// Calls that were killed inside of their bodies are reported as interrupted, and each other one with
/// its outcome.
async fn every_intent_has_one_end(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let (intents, without, doubled, interrupted): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE ends = 0), count(*) FILTER (WHERE ends > 1), count(*) FILTER (WHERE interrupted) FROM ( \
         SELECT i.id, count(c.id) AS ends, coalesce(bool_or(c.outcome = 'interrupted'), false) AS interrupted FROM audit_events i \
         LEFT JOIN audit_events c ON c.causation_id = i.id AND c.created_at = i.created_at WHERE i.outcome = 'started' GROUP BY 1) x",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    println!("intents {intents} interrupted {interrupted} without an end {without} with two {doubled}");
    assert!(without == 0 && doubled == 0 && intents > 0);
    connection.close().await.unwrap();
}

/// Events that a journal refuses have no rows, and a gap tells of them, if the process lives so long.
async fn nothing_was_refused(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let gaps: Vec<String> =
        sqlx::query_scalar("SELECT data::text FROM audit_events WHERE event_type = 'audit.gap' ORDER BY created_at")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    for gap in gaps {
        println!("refused: {gap}");
    }
    connection.close().await.unwrap();
}

/// For each run and thread: rows, distinct calls, and those among the first so many calls.
async fn rows(url: &str) -> HashMap<(String, i64), (i64, i64, i64)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let rows: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT actor, (data->>'thread')::bigint, count(*), count(DISTINCT (data->>'number')::bigint), \
         max((data->>'number')::bigint) FROM audit_events WHERE event_type = 'call.made' GROUP BY 1, 2",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    rows.into_iter().map(|(run, thread, rows, distinct, last)| ((run, thread), (rows, distinct, last))).collect()
}

fn report(returned: &[Returned], rows: &HashMap<(String, i64), (i64, i64, i64)>, counts: &Counts, cuts: usize) {
    let (mut calls, mut stored, mut lost, mut doubled) = (0, 0, 0, 0);
    for (run, returned) in returned.iter().enumerate() {
        for thread in 0..THREADS {
            let returned = returned.of(thread);
            let (all, distinct, last) = rows.get(&(run.to_string(), thread as i64)).copied().unwrap_or((0, 0, -1));
            // The call that was under way when the process was killed may have a row, too.
            let unreturned = i64::from(last == returned);
            calls += returned + unreturned;
            stored += distinct;
            lost += returned + unreturned - distinct;
            if returned + unreturned != distinct {
                println!(
                    "run {run}, thread {thread}: {returned} calls returned, {distinct} have rows, the last {last}"
                );
            }
            doubled += all - distinct;
            assert!(last <= returned, "run {run}: a row of a call that was never made");
        }
    }
    println!(
        "calls {calls} rows {stored} lost {lost} doubled {doubled} kills {} restarts {} cuts {cuts}",
        counts.kills, counts.restarts
    );
    assert!(lost == 0 && doubled == 0 && calls > 0);
}
