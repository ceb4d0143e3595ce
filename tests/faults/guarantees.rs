//! `required` and `intent` at the worst moment.

use audit_runtime::trail::{IntentState, Trail, TrailEvent};
use audit_runtime::{Audit, Context, Event, Outcome, RecordError, audited};
use chrono::Utc;
use futures_util::FutureExt;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tests::again::{again, again_under, is_again};
use tests::{Database, SmallDisk, eventually};
use uuid::Uuid;

const ORDER: Uuid = Uuid::from_u128(7);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error(transparent)]
struct Unrecorded(#[from] RecordError);

#[audited(event = "mode.changed", id = ORDER, required)]
fn switch(mode: &Cell<u8>, to: u8) -> Result<(), Unrecorded> {
    mode.set(to);
    Ok(())
}

#[audited(event = "mode.changed", id = ORDER, required)]
async fn switch_later(switched: &AtomicUsize) -> Result<(), Unrecorded> {
    switched.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

// -- required -------------------------------------------------------------------------------------

#[tokio::test]
async fn with_its_disk_full_a_required_call_does_not_run_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(3 << 20) else { return };
    let database = Database::new().await;
    let audit = database.audit().journal(disk.path()).postgres("postgres://127.0.0.1:1/x").start().unwrap();
    let _entered = audit.enter();
    let (mode, mut calls) = (Cell::new(0), 0);
    let error = loop {
        match switch(&mode, 1) {
            Ok(()) => calls += 1,
            Err(Unrecorded(error)) => break error,
        }
    };
    assert!(calls > 0 && error == RecordError::Disk, "{error}");
    mode.set(0);
    let switched = AtomicUsize::new(0);
    for _ in 0..100 {
        assert_eq!(switch(&mode, 1), Err(RecordError::Disk.into()));
        assert_eq!(switch_later(&switched).await, Err(RecordError::Disk.into()));
    }
    assert_eq!((mode.get(), switched.load(Ordering::Relaxed)), (0, 0), "no audit, no action");
    disk.resize(16 << 20);
    eventually("there is room", || async { switch(&mode, 2).is_ok() }).await;
    assert_eq!(mode.get(), 2);
    audit.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!(switch(&mode, 3), Err(RecordError::Closed.into()));
    assert_eq!(mode.get(), 2);
}

/// Says what PostgreSQL has of the call when its body runs.
#[audited(event = "mode.changed", id = ORDER, required, skip_all)]
async fn look(pool: &sqlx::PgPool) -> anyhow::Result<i64> {
    let started = "SELECT count(*) FROM audit_events WHERE outcome = 'started'";
    Ok(sqlx::query_scalar(started).fetch_one(pool).await?)
}

#[tokio::test]
async fn without_a_disk_a_required_call_waits_until_postgresql_has_it_through_an_outage_too() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let audit = database.audit().memory().start().unwrap();
    database.reconnect();
    let call = tokio::spawn({
        let (audit, pool) = (audit.clone(), database.pool.clone());
        async move { audit.scope(look(&pool)).await.unwrap() }
    });
    eventually("the writer has tried", || async { audit.stats().retries > 1 }).await;
    assert!(!call.is_finished());
    cluster.up();
    assert_eq!(call.await.unwrap(), 1);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[test]
fn at_the_journals_limit_a_required_call_does_not_run() {
    let journals = tempfile::tempdir().unwrap();
    let builder = Audit::builder().postgres("postgres://127.0.0.1:1/x").journal(journals.path());
    let audit = builder.segment_bytes(1 << 16).data_limit(1 << 14).journal_limit(1 << 17).start().unwrap();
    let _entered = audit.enter();
    let mode = Cell::new(0);
    let mut calls = 0;
    while switch(&mode, 1).is_ok() {
        calls += 1;
        mode.set(0);
    }
    assert_eq!((switch(&mode, 1), mode.get()), (Err(RecordError::JournalFull.into()), 0));
    assert!(calls > 10);
}

fn strace_works() -> bool {
    let works = std::process::Command::new("strace").arg("true").output().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("left out: strace is not to be had or may not trace here");
    }
    works
}

const FAILED: &str = "guarantees::with_a_disk_that_fails_a_required_call_does_not_run_and_is_on_record_as_failed";

#[tokio::test]
async fn with_a_disk_that_fails_a_required_call_does_not_run_and_is_on_record_as_failed() {
    if is_again(FAILED) {
        let builder = Audit::builder().postgres("postgres://127.0.0.1:1/x");
        let journals = std::env::var("AUDIT_TEST_JOURNALS").unwrap();
        let audit = builder.journal(journals).start().unwrap();
        let mode = Cell::new(0);
        // Two threads sync, and of each the first succeeds: one the header of the segment, the
        // other this.
        audit.record(Event::new("disk.tried")).unwrap().synced().await.unwrap();
        let _entered = audit.enter();
        assert_eq!((switch(&mode, 1), mode.get()), (Err(RecordError::NotSynced.into()), 0));
        let switched = AtomicUsize::new(0);
        assert_eq!(switch_later(&switched).await, Err(RecordError::NotSynced.into()));
        assert_eq!(switched.load(Ordering::Relaxed), 0);
        audit.shutdown(Duration::ZERO).await.unwrap();
        return;
    }
    if !strace_works() {
        return;
    }
    let database = Database::new().await;
    let arguments = ["-f", "-qq", "-o", "/dev/null", "-e", "inject=msync:error=EIO:when=2+"];
    let output = again_under(Some("strace"), &arguments, FAILED)
        .env("AUDIT_TEST_JOURNALS", database.journals.path())
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
    // The memory of the system has it nevertheless.
    let next = database.audit().start().unwrap();
    eventually("it is shipped", || async { database.journal_directories() == 1 }).await;
    let trail = Trail::new(database.pool.clone()).entity("mode", ORDER).await.unwrap();
    let outcomes: Vec<Outcome> = trail.iter().map(|event| event.outcome).collect();
    assert_eq!(outcomes, [Outcome::Started, Outcome::Error, Outcome::Started, Outcome::Error]);
    assert!(trail[1].data["error"]["message"].as_str().unwrap().contains("could not be written to its disk"));
    next.shutdown(Duration::from_secs(10)).await.unwrap();
}

const GROUP: &str = "guarantees::required_calls_that_run_at_once_share_their_syncs";

#[tokio::test]
async fn required_calls_that_run_at_once_share_their_syncs() {
    const CALLS: usize = 64;
    if is_again(GROUP) {
        let builder = Audit::builder().postgres("postgres://127.0.0.1:1/x").sync_every(Duration::from_secs(3600));
        let audit = builder.journal(std::env::var("AUDIT_TEST_JOURNALS").unwrap()).start().unwrap();
        let switched = AtomicUsize::new(0);
        let calls = (0..CALLS).map(|_| switch_later(&switched));
        let results = audit.scope(futures_util::future::join_all(calls)).await;
        assert!(results.iter().all(Result::is_ok) && switched.load(Ordering::Relaxed) == CALLS);
        audit.shutdown(Duration::ZERO).await.unwrap();
        return;
    }
    if !strace_works() {
        return;
    }
    let (journals, trace) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let trace = trace.path().to_str().unwrap();
    let output = again_under(Some("strace"), &["-f", "-qq", "-e", "trace=msync,fdatasync", "-o", trace], GROUP)
        .env("AUDIT_TEST_JOURNALS", journals.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let syncs = std::fs::read_to_string(trace).unwrap().lines().filter(|line| line.contains("sync(")).count();
    assert!((1..=CALLS / 4).contains(&syncs), "{syncs} syncs for {CALLS} calls");
}

// -- intent ---------------------------------------------------------------------------------------

#[audited(event = "order.checked", id = None::<Uuid>)]
fn check(number: u64) {}

/// Says that it is inside, and stays there.
#[audited(event = "order.submitted", err = "order.rejected", id = ORDER, intent, plain(key))]
fn submit(number: u64, ticker: &str, key: &str) -> Result<u64, std::fmt::Error> {
    check(number);
    if number > 0 {
        return Ok(number);
    }
    println!("inside");
    loop {
        std::thread::park();
    }
}

const KILLED: &str = "guarantees::a_process_that_is_killed_inside_of_calls_leaves_a_row_for_each_that_says_so";

struct Process(Child);

impl Process {
    /// Runs until it is inside of a call that does not end.
    fn start(url: &str, journals: &Path, rows: bool) -> Self {
        let mut child = again(KILLED)
            .env("AUDIT_TEST_URL", url)
            .env("AUDIT_TEST_JOURNALS", journals)
            .env("AUDIT_TEST_ROWS", if rows { "many" } else { "few" })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The tail of libtest's own line may precede it.
        assert!(lines.any(|line| line.unwrap().ends_with("inside")));
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn in_process() -> ! {
    let variable = |name| std::env::var(name).unwrap();
    let builder = Audit::builder().postgres(variable("AUDIT_TEST_URL")).journal(variable("AUDIT_TEST_JOURNALS"));
    let audit = builder.segment_bytes(1 << 16).data_limit(1 << 14).service("killed").start().unwrap();
    audit.install().unwrap();
    submit(1, "MSFT", "k-1").unwrap();
    let inside = std::thread::spawn(|| {
        let _context = Context::new().actor("ann").attribute("tenant", "acme").enter();
        submit(0, "AAPL", "k-0").unwrap();
    });
    if variable("AUDIT_TEST_ROWS") == "many" {
        // So many that the segment with the intent is shipped and gone.
        eventually_blocking(|| audit.stats().recorded >= 5);
        (0..2_000).for_each(check);
        audit.flush_blocking().unwrap();
    }
    inside.join().unwrap();
    unreachable!("it does not end")
}

fn eventually_blocking(condition: impl Fn() -> bool) {
    tests::wait::until("a condition", || condition().then_some(()));
}

async fn interruptions(database: &Database) -> Vec<TrailEvent> {
    let trail = Trail::new(database.pool.clone()).entity("order", ORDER).await.unwrap();
    trail.into_iter().filter(|event| event.event_type == "audit.interrupted").collect()
}

#[tokio::test]
async fn a_process_that_is_killed_inside_of_calls_leaves_a_row_for_each_that_says_so() {
    if is_again(KILLED) {
        in_process();
    }
    for rows in [false, true] {
        let database = Database::new().await;
        let began = Utc::now();
        let process = Process::start(&database.url, database.journals.path(), rows);
        let trail = || async { Trail::new(database.pool.clone()).entity("order", ORDER).await.unwrap() };
        eventually("the intents are stored", || async { trail().await.len() == 3 }).await;
        let states = |trail: &[TrailEvent]| trail.iter().filter_map(|event| event.intent).collect::<Vec<_>>();
        assert_eq!(states(&trail().await), [IntentState::Completed, IntentState::InFlight]);
        process.kill();

        let next = database.audit().start().unwrap();
        eventually("what was under way is on record", || async { interruptions(&database).await.len() == 1 }).await;
        let event = interruptions(&database).await.remove(0);
        let trail = trail().await;
        assert_eq!(states(&trail), [IntentState::Completed, IntentState::Interrupted]);
        let intent = trail.iter().find(|event| event.intent == Some(IntentState::Interrupted)).unwrap();
        assert_eq!(
            (event.causation_id, event.outcome, event.duration_us),
            (Some(intent.id), Outcome::Interrupted, None)
        );
        // By whom, with which arguments, begun when.
        assert_eq!((event.actor.as_str(), event.created_at), ("ann", intent.created_at));
        assert!(event.created_at > began && event.created_at < Utc::now());
        assert_eq!(
            (event.correlation_id, &event.context),
            (intent.correlation_id, &Some(json!({"tenant": "acme"}).into()))
        );
        let mut data = event.data.clone();
        let interrupted = data.as_object_mut().unwrap().remove("$interrupted").unwrap();
        assert_eq!(data, json!({"number": 0, "ticker": "AAPL", "key": "k-0"}));
        assert_eq!(interrupted["event_type"], "order.submitted");
        assert_eq!(interrupted["why"], "its process is gone, and no end of it is on record");
        assert!(interrupted["origin"].as_str().unwrap().starts_with("killed@"));
        assert!(event.origin.unwrap().starts_with("test@"));
        // Events recorded inside have their cause.
        let inside: Value = sqlx::query_scalar("SELECT data FROM audit_events WHERE causation_id = $1")
            .bind(event.id)
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert_eq!(inside, json!({"number": 0}));
        eventually("the journal is gone", || async { database.journal_directories() == 1 }).await;
        assert_eq!(next.stats().quarantined, 0);
        next.shutdown(Duration::from_secs(10)).await.unwrap();
        assert_eq!(interruptions(&database).await.len(), 1);
    }
}

#[tokio::test]
async fn an_interruption_is_told_once_though_its_adopter_dies_before_it_has_done_with_the_journal() {
    let database = Database::new().await;
    let nowhere = database.audit().postgres("postgres://127.0.0.1:1/x").batch_rows(1).start().unwrap();
    // Three calls that never end, and one that does.
    let mut open: Vec<_> = (0..3).map(|_| Box::pin(nowhere.scope(forever(1)))).collect();
    assert!(open.iter_mut().all(|call| call.now_or_never().is_none()));
    nowhere.shutdown(Duration::ZERO).await.unwrap();
    let journal = std::fs::read_dir(database.journals.path()).unwrap().flatten().find(|e| e.path().is_dir()).unwrap();
    let copy = database.journals.path().join("copy");
    assert!(std::process::Command::new("cp").arg("-r").arg(journal.path()).arg(&copy).status().unwrap().success());
    for adopted in [3 * 2, 0] {
        let next = database.audit().start().unwrap();
        eventually("it is adopted", || async { !journal.path().exists() }).await;
        assert_eq!((next.stats().adopted, next.stats().quarantined), (adopted, 0));
        next.shutdown(Duration::from_secs(10)).await.unwrap();
        // As if the first had been killed before it removed the journal.
        if copy.exists() {
            std::fs::rename(&copy, journal.path()).unwrap();
        }
    }
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE event_type = 'audit.interrupted'").await, 3);
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE outcome = 'cancelled'").await, 0);
}

#[tokio::test]
async fn an_adopter_sends_the_interruptions_that_a_dead_adopter_had_cut() {
    let database = Database::new().await;
    let nowhere = database.audit().postgres("postgres://127.0.0.1:1/x").service("caller").start().unwrap();
    let mut open: Vec<_> = (0..5).map(|_| Box::pin(nowhere.scope(forever(1)))).collect();
    assert!(open.iter_mut().all(|call| call.now_or_never().is_none()));
    nowhere.shutdown(Duration::ZERO).await.unwrap();
    // The server takes the intents, and then the adopter waits for it.
    let wait = "CREATE FUNCTION wait_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$; \
                CREATE TRIGGER wait_long BEFORE INSERT ON audit_events FOR EACH ROW WHEN (NEW.outcome = 'interrupted') \
                EXECUTE FUNCTION wait_long()";
    sqlx::raw_sql(wait).execute(&database.pool).await.unwrap();
    let first = database.audit().batch_rows(3).service("first").start().unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    eventually("a batch of interruptions is under way", || async { database.count(waiting).await == 1 }).await;
    database.abandon(first).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    sqlx::raw_sql(end).execute(&database.pool).await.unwrap();
    sqlx::raw_sql("DROP FUNCTION wait_long CASCADE").execute(&database.pool).await.unwrap();
    let cuts = database.cut_logs();
    let next = database.audit().batch_rows(2).service("next").start().unwrap();
    eventually("it is adopted", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(10)).await.unwrap();
    let batches: Vec<(Uuid, i32, String, Vec<u8>)> =
        sqlx::query_as("SELECT id, rows::int, origin, root FROM audit_batches ORDER BY first_position")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let told: Vec<_> = batches.iter().filter(|(.., origin, _)| !origin.starts_with("caller@")).collect();
    let rows: Vec<i32> = told.iter().map(|(_, rows, ..)| *rows).collect();
    assert_eq!(rows, [3, 2], "{batches:?}");
    let (id, _, origin, root) = told[0];
    assert!(origin.starts_with("first@"), "{origin}");
    assert!([&id.as_bytes()[..], root].iter().all(|bytes| cuts.windows(bytes.len()).any(|window| window == *bytes)));
    assert_eq!(interruptions(&database).await.len(), 5);
    database.is_unharmed().await;
}

#[audited(event = "order.submitted", id = ORDER, intent)]
async fn forever(number: u64) {
    std::future::pending().await
}

#[tokio::test]
async fn a_call_that_outlives_its_audit_trail_is_told_by_the_shutdown() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let mut call = Box::pin(audit.scope(forever(5)));
    assert!(call.as_mut().now_or_never().is_none());
    let report = audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!((report.stored, report.left_in_journal), (2, 0));
    drop(call);
    assert_eq!(audit.stats().refused, 1, "its end comes too late");
    let event = interruptions(&database).await.remove(0);
    assert_eq!(
        event.data["$interrupted"]["why"],
        "its process has shut the audit trail down, and no end of it is on record"
    );
    assert_eq!(database.journal_directories(), 0);
}

#[tokio::test]
async fn a_role_that_may_only_insert_ships_what_is_left_and_marks_nothing() {
    let database = Database::new().await;
    let role = format!("writer_{}", Uuid::now_v7().simple());
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT INSERT ON audit_events, audit_batches, audit_quarantine TO {role}; \
         GRANT SELECT ON audit_batches TO {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&database.pool).await.unwrap();
    let nowhere = database.audit().postgres("postgres://127.0.0.1:1/x").start().unwrap();
    let mut call = Box::pin(nowhere.scope(forever(1)));
    assert!(call.as_mut().now_or_never().is_none());
    nowhere.shutdown(Duration::ZERO).await.unwrap();
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let next = database.audit().postgres(url.as_str()).start().unwrap();
    eventually("the journal is gone", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!((database.events().await, interruptions(&database).await.len()), (1, 0));
}
