//! Feeds: what arrives reaches other systems, in their forms, and can be proven there.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod arrivals;
mod endpoint;
mod feeds;
mod forged;
mod forms;
mod hostile;
mod proven;
mod receivers;
mod refused;
mod silence;
mod syslog;
mod targets;

use audit_runtime::feed::{Arrivals, Position};
use audit_runtime::trail::EventFilter;
use audit_runtime::{Event, audited};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;
use tests::Database;
use tests::examples::audit_trail;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);

#[audited(event = "order.submitted", entity = "order", id = number, actor = "user:ada", tenant = "acme")]
fn submit(number: i64, price: f64) -> Result<i64, String> {
    if price > 1_000.0 { Err("too dear".into()) } else { Ok(number * 2) }
}

/// Stores events, in a journal of their own.
async fn record(database: &Database, events: usize) {
    let audit = database.audit().start().unwrap();
    for _ in 0..events {
        audit.record(Event::new("order.recorded")).unwrap();
    }
    assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
}

/// Stores the calls of a function.
async fn call(database: &Database, run: impl FnOnce()) {
    let audit = database.audit().start().unwrap();
    audit.scope(async { run() }).await;
    assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
}

/// The entries that transactions of other tests on the same server hold back for a moment.
const HELD_BACK: &str = "SELECT count(*) FROM (SELECT lineage, xact FROM audit_batches UNION ALL SELECT lineage, xact FROM audit_retried) stored \
     WHERE lineage = audit_lineage() AND xact >= pg_snapshot_xmin(pg_current_snapshot())";

/// The ids of all events that have arrived behind a position, and the position behind them.
async fn arrived(database: &Database, position: &Position) -> (Vec<Uuid>, Position) {
    tests::eventually("what is stored is complete", async || database.count(HELD_BACK).await == 0).await;
    read(database, position).await
}

/// The same, of what is complete now.
async fn read(database: &Database, position: &Position) -> (Vec<Uuid>, Position) {
    let mut arrivals = Arrivals::new(database.pool.clone(), EventFilter::new(), position.clone());
    let mut ids = Vec::new();
    while let Some(portion) = arrivals.next().await.unwrap() {
        ids.extend(portion.events.iter().map(|arrived| arrived.event.id));
    }
    (ids, arrivals.position().clone())
}

/// The ids of all stored events.
async fn stored(database: &Database) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM audit_events").fetch_all(&database.pool).await.unwrap();
    ids.sort();
    ids
}

fn sorted(mut ids: Vec<Uuid>) -> Vec<Uuid> {
    ids.sort();
    ids
}

/// The command on this database.
fn command(database: &Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(audit_trail());
    command.args(arguments).env("DATABASE_URL", &database.url).env("TZ", "UTC");
    for variable in ["AUDIT_MASTER_KEY", "AUDIT_CHECKPOINT_KEY", "AUDIT_CHECKPOINT_PUBLIC_KEY"] {
        command.env_remove(variable);
    }
    command
}

/// The exit code of a run of the command, and all that it printed.
fn run(database: &Database, arguments: &[&str]) -> (i32, String) {
    ended(&command(database, arguments).output().unwrap())
}

fn ended(output: &Output) -> (i32, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// Sends all events once.
fn forward(database: &Database, to: &str, more: &[&str]) -> (i32, String) {
    let arguments = [&["forward", "--to", to, "--from", "beginning", "--once"], more].concat();
    let url = database.url.clone();
    // This thread may run the only task.
    std::thread::spawn(move || is_complete(&url)).join().unwrap();
    run(database, &arguments)
}

/// Waits until transactions of other tests on the same server hold back nothing that is stored.
fn is_complete(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::at(url);
        tests::eventually("what is stored is complete", async || database.count(HELD_BACK).await == 0).await;
        database.pool.close().await;
    });
}

/// The JSON objects in a file, one a line.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn ids(events: &[Value]) -> Vec<Uuid> {
    sorted(events.iter().map(|event| event["id"].as_str().unwrap().parse().unwrap()).collect())
}

/// A process that is killed with the test.
struct Running(Child);

impl Running {
    fn start(database: &Database, arguments: &[&str]) -> Self {
        Self(command(database, arguments).stderr(std::process::Stdio::piped()).spawn().unwrap())
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Ends it in good order.
    fn terminate(mut self) -> i32 {
        let id = rustix::process::Pid::from_raw(self.0.id().cast_signed()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
