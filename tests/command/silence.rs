//! A server that does not answer, and one that takes its time.

use crate::{command, morning, ran};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tests::examples::audit_trail;
use tests::{Cluster, Config, Database, Proxy, Rule, eventually, wait};

/// Every subcommand that asks a database.
const ASKING: [&[&str]; 17] = [
    &["migrate"],
    &["order", "00000000-0000-7000-8000-0000000000aa"],
    &["entity", "order", "00000000-0000-7000-8000-0000000000aa"],
    &["execution", "00000000-0000-7000-8000-0000000000aa", "--recommendation", "00000000-0000-7000-8000-0000000000bb"],
    &["events"],
    &["events", "--follow"],
    &["export"],
    &["status"],
    &["checkpoint", "--key", "/dev/null"],
    &["verify"],
    &["proof", "00000000-0000-7000-8000-0000000000aa"],
    &["partitions"],
    &["prune", "--before", "2019-01-01"],
    &["forget", "customer:42"],
    &["quarantine", "list"],
    &["quarantine", "retry", "--all"],
    &["journal", "ship", "/tmp"],
];

fn at(port: u16, program: &Path, arguments: &[&str]) -> Command {
    let database = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    let mut command = Command::new(program);
    command.args(arguments).env("DATABASE_URL", database).stdin(Stdio::null());
    command
}

/// All of them give up in time, and name host and port.
fn all_give_up(port: u16) {
    let program = &audit_trail();
    thread::scope(|scope| {
        for arguments in ASKING {
            scope.spawn(move || {
                let begin = Instant::now();
                let ran = ran(at(port, program, arguments));
                let took = begin.elapsed();
                assert_eq!(ran.code, 3, "{arguments:?}: {}", ran.stderr);
                assert!(took < Duration::from_secs(15), "{arguments:?}: {took:?}");
                let text = format!("cannot reach the database at 127.0.0.1:{port}: no answer within 10 s; check");
                assert!(ran.stderr.contains(&text), "{arguments:?}: {}", ran.stderr);
                assert_eq!(ran.stdout, "", "{arguments:?}");
            });
        }
    });
}

#[test]
fn a_server_that_accepts_and_never_answers_is_given_up_within_15_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The system accepts for it.
    all_give_up(listener.local_addr().unwrap().port());
}

#[test]
fn a_server_that_answers_the_login_and_nothing_else_is_given_up_within_15_seconds() {
    let proxy = Proxy::start(Cluster::shared().port());
    proxy.rule(Rule::StallAfterLogin);
    all_give_up(proxy.port());
}

#[test]
fn journal_ship_gives_up_by_its_own_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = audit_trail();
    let begin = Instant::now();
    let ran = ran(at(listener.local_addr().unwrap().port(), &program, &["journal", "ship", "/tmp", "--timeout", "2"]));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("no answer within 2 s") && begin.elapsed() < Duration::from_secs(8), "{}", ran.stderr);
}

/// The command on this database, by way of the proxy.
fn through(proxy: &Proxy, database: &Database, arguments: &[&str]) -> Command {
    let name = database.url.rsplit('/').next().unwrap();
    let mut command = command(database, arguments);
    command.env("DATABASE_URL", format!("{}?sslmode=disable", proxy.url(name)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ends_as_lost(child: Child, proxy: &Proxy, since: Instant, why: &str) {
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
    let text = format!("lost the database at 127.0.0.1:{}: {why}; check the ", proxy.port());
    assert!(stderr.contains(&text), "{stderr}");
}

/// Waits until a session of the command waits for a lock.
async fn waits_for_a_lock(database: &Database) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'audit-trail' \
                   AND wait_event_type = 'Lock'";
    eventually("the command waits for a lock", async || database.count(waiting).await > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent_in_mid_stream_ends_export_within_60_seconds() {
    let database = Database::new().await;
    let many = "INSERT INTO audit_events (id, event_type, entity_type) SELECT gen_random_uuid(), 'a.b', 'a' FROM generate_series(1, 20000)";
    sqlx::query(many).execute(&database.pool).await.unwrap();
    let proxy = Proxy::start(Cluster::shared().port());
    let mut child = through(&proxy, &database, &["export"]).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    // The pipe is full long before the last page.
    proxy.rule(Rule::Stall);
    let since = Instant::now();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.lines().count() < 19_999);
    // It asks for each page by a connection that has to answer first.
    ends_as_lost(child, &proxy, since, "no connection could be had in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent_under_a_statement_ends_the_command_within_60_seconds() {
    let database = morning().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let mut locked = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let children = [&["verify"][..], &["events"], &["status"]].map(|arguments| {
        let child = through(&proxy, &database, arguments).spawn().unwrap();
        (arguments, child)
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'audit-trail' \
                   AND wait_event_type = 'Lock'";
    eventually("all of them wait for the lock", async || database.count(waiting).await == 3).await;
    proxy.rule(Rule::Stall);
    let since = Instant::now();
    for (_, child) in children {
        ends_as_lost(child, &proxy, since, "no answer for 30 s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_long_on_a_server_that_lives_is_not_cut() {
    let database = morning().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let mut locked = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let child = through(&proxy, &database, &["verify"]).spawn().unwrap();
    waits_for_a_lock(&database).await;
    let before = proxy.accepted();
    // Three logins are as many as a silent server is given.
    wait::until_within(Duration::from_secs(100), "the server is looked at", || {
        (proxy.accepted() > before + 3).then_some(())
    });
    locked.rollback().await.unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_named() {
    let mut cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let mut locked = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let mut events = command(&database, &["events"]);
    let child = events.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    waits_for_a_lock(&database).await;
    let port = cluster.port();
    cluster.down();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert!(
        stderr.contains(&format!("events lost the database at 127.0.0.1:{port}: terminating connection")),
        "{stderr}"
    );
    assert!(!stderr.contains("at line"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_every_command_at_once() {
    let database = morning().await;
    let mut locked = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    for (arguments, text) in [
        (&["verify"][..], "interrupted: the trail is not verified"),
        (&["prune", "--before", "2019-01-01"], "interrupted: months that were reported are pruned"),
        (&["events"], "interrupted: events did not finish"),
        (&["export"], "interrupted: the export is incomplete"),
        (&["partitions"], "interrupted: run audit-trail partitions again to finish"),
    ] {
        let mut command = command(&database, arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        waits_for_a_lock_of(&database, arguments).await;
        kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
        let since = Instant::now();
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(130), "{arguments:?}: {stderr}");
        assert!(stderr.contains(text) && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
        assert!(since.elapsed() < Duration::from_secs(5), "{arguments:?}");
        terminate(&database).await;
    }
}

/// Waits until the command is at work: some ask for a lock for 200 ms only, and then again.
async fn waits_for_a_lock_of(database: &Database, arguments: &[&str]) {
    match arguments {
        ["prune" | "partitions", ..] => {
            let connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                             AND application_name = 'audit-trail' AND query LIKE '%audit%'";
            eventually("the command is at work", async || database.count(connected).await > 0).await;
        }
        _ => waits_for_a_lock(database).await,
    }
}

/// Ends the sessions that the command left, which still wait for the lock.
async fn terminate(database: &Database) {
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'audit-trail'";
    sqlx::query(terminate).fetch_all(&database.pool).await.unwrap();
    let left =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'audit-trail'";
    eventually("its sessions are gone", async || database.count(left).await == 0).await;
}
