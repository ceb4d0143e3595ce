//! A server that does not answer, and one that takes its time.

use crate::{command, morning};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tests::examples::audit_trail;
use tests::wait::PATIENCE;
use tests::{Cluster, Config, Database, Proxy, Rule, eventually, wait};

/// Every subcommand that asks a database.
const ASKING: [&[&str]; 18] = [
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
    &["subject", "customer:42"],
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

/// Its end, within the tests' patience. The command's own limits are in its messages.
fn end(mut child: Child, what: &str) -> (i32, String) {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{what} is still at work after {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// All of them give up in time, and name host and port.
fn all_give_up(port: u16) {
    let program = &audit_trail();
    thread::scope(|scope| {
        for arguments in ASKING {
            scope.spawn(move || {
                let child = spawn(at(port, program, arguments));
                let (code, stderr) = end(child, &format!("{arguments:?}"));
                assert_eq!(code, 3, "{arguments:?}: {stderr}");
                let text = format!("cannot reach the database at 127.0.0.1:{port}: no answer within 10 s; check");
                assert!(stderr.contains(&text), "{arguments:?}: {stderr}");
            });
        }
    });
}

#[test]
fn a_server_that_accepts_and_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The system accepts for it.
    all_give_up(listener.local_addr().unwrap().port());
}

#[test]
fn a_server_that_answers_the_login_and_nothing_else_is_given_up() {
    let proxy = Proxy::start(Cluster::shared().port());
    proxy.rule(Rule::StallAfterLogin);
    all_give_up(proxy.port());
}

#[test]
fn journal_ship_gives_up_by_its_own_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = audit_trail();
    let port = listener.local_addr().unwrap().port();
    let child = spawn(at(port, &program, &["journal", "ship", "/tmp", "--timeout", "2"]));
    let (code, stderr) = end(child, "journal ship");
    assert!(code == 3 && stderr.contains("no answer within 2 s"), "{stderr}");
}

/// The command on this database, by way of the proxy.
fn through(proxy: &Proxy, database: &Database, arguments: &[&str]) -> Child {
    let name = database.url.rsplit('/').next().unwrap();
    let mut command = command(database, arguments);
    command.env("DATABASE_URL", format!("{}?sslmode=disable", proxy.url(name)));
    spawn(command)
}

fn ends_as_lost(child: Child, proxy: &Proxy, why: &str) {
    let (code, stderr) = end(child, "the command");
    let text = format!("lost the database at 127.0.0.1:{}: {why}; check the ", proxy.port());
    assert!(code == 3 && stderr.contains(&text), "{code}: {stderr}");
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
    let mut child = through(&proxy, &database, &["export"]);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    // The pipe is full long before the last page.
    proxy.rule(Rule::Stall);
    let rest = thread::spawn(move || {
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        rest
    });
    // It asks for each page by a connection that has to answer first.
    ends_as_lost(child, &proxy, "no connection could be had in time");
    assert!(rest.join().unwrap().lines().count() < 19_999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent_under_a_statement_ends_the_command_within_60_seconds() {
    let database = morning().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let mut locked = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let children = [&["verify"][..], &["events"], &["status"]].map(|arguments| through(&proxy, &database, arguments));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'audit-trail' \
                   AND wait_event_type = 'Lock'";
    eventually("all of them wait for the lock", async || database.count(waiting).await == 3).await;
    proxy.rule(Rule::Stall);
    for child in children {
        ends_as_lost(child, &proxy, "no answer for 30 s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_long_on_a_server_that_lives_is_not_cut() {
    let database = morning().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let mut locked = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let child = through(&proxy, &database, &["verify"]);
    waits_for_a_lock(&database).await;
    let before = proxy.accepted();
    // Three logins are as many as a silent server is given.
    wait::until_within(Duration::from_secs(100), "the server is looked at", || {
        (proxy.accepted() > before + 3).then_some(())
    });
    locked.rollback().await.unwrap();
    let (code, stderr) = end(child, "verify");
    assert_eq!(code, 0, "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_named() {
    let mut cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let mut locked = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    let child = spawn(command(&database, &["events"]));
    waits_for_a_lock(&database).await;
    let port = cluster.port();
    cluster.down();
    let (code, stderr) = end(child, "events");
    assert_eq!(code, 3, "{stderr}");
    // The server reports it, unless the connection's end is faster.
    let lost = format!("events lost the database at 127.0.0.1:{port}: ");
    let is_told = |why: &str| stderr.contains(&format!("{lost}{why}"));
    assert!(is_told("terminating connection") || is_told("the server closed the connection"), "{stderr}");
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
        let child = spawn(command(&database, arguments));
        waits_for_a_lock_of(&database, arguments).await;
        kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
        let (code, stderr) = end(child, &format!("{arguments:?}"));
        assert_eq!(code, 130, "{arguments:?}: {stderr}");
        assert!(stderr.contains(text) && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
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
