//! Every way a program can end, and that none hangs or loses what was recorded.

use audit_runtime::{Audit, Event, RecordError, StoreError, audited};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tests::again::{again, is_again};
use tests::{Cluster, Database, Proxy, Rule, eventually};
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid) -> u32 {
    1
}

fn name(database: &Database) -> &str {
    database.url.rsplit('/').next().unwrap()
}

/// The time that a shutdown may take beyond its limit. On a busy machine, a thread waits for its turn. What these tests prevent takes four seconds and longer.
const GRACE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_shutdown_keeps_to_its_time_whatever_the_server_does() {
    let database = Database::new().await;
    let proxy = Proxy::start(Cluster::shared().port());
    for rule in [Rule::Stall, Rule::CutAfterSent(0), Rule::CutAfterReceived(0), Rule::LoseCommitAnswers] {
        let audit = database.audit().postgres(proxy.url(name(&database))).start().unwrap();
        audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
        proxy.rule(rule);
        (0..500).for_each(|_| drop(audit.record(Event::new("order.accepted")).unwrap()));
        let timeout = Duration::from_millis(700);
        let begin = Instant::now();
        let report = audit.shutdown(timeout).await.unwrap();
        // Its report is true. But a lost answer may hide that something was stored.
        assert_eq!(report.stored + report.left_in_journal, 501);
        assert!(begin.elapsed() < timeout + GRACE, "{rule:?}: {:?}", begin.elapsed());
        proxy.rule(Rule::Pass);
        proxy.cut();
    }
    let adopter = database.audit().start().unwrap();
    eventually("the rest is shipped", || async { database.events().await == 4 * 501 }).await;
    adopter.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_keeps_to_its_time_when_somebody_blocks_the_writers_thread() {
    let audit = Audit::builder()
        .postgres(|| {
            std::thread::sleep(Duration::from_secs(4));
            String::from("postgres://127.0.0.1:1/x")
        })
        .memory()
        .start()
        .unwrap();
    audit.record(Event::new("order.accepted")).unwrap();
    let begin = Instant::now();
    let report = audit.shutdown_blocking(Duration::from_millis(200)).unwrap();
    assert!(begin.elapsed() < Duration::from_millis(200) + GRACE, "{:?}", begin.elapsed());
    assert_eq!(report.left_in_journal, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_flushes_at_once_on_one_worker() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let flushes: Vec<_> = (0..1_000)
        .map(|_| {
            let audit = audit.clone();
            tokio::spawn(async move {
                audit.record(Event::new("order.accepted")).unwrap();
                audit.flush().await
            })
        })
        .collect();
    for flush in flushes {
        flush.await.unwrap().unwrap();
    }
    assert_eq!(audit.stats().pending, 0);
    let shutdowns = futures_util::future::join_all((0..10).map(|_| audit.shutdown(Duration::from_secs(10)))).await;
    assert!(shutdowns.into_iter().all(|report| report.unwrap().stored == 1_000));
    assert_eq!(database.events().await, 1_000);
}

#[test]
fn a_runtime_that_is_dropped_first() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Database::new());
    let audit = runtime.block_on(async { database.audit().start().unwrap() });
    let (count, url) = (1, database.url.clone());
    runtime.block_on(audit.scope(async { submit(Uuid::now_v7()) }));
    drop(database.pool.clone());
    runtime.shutdown_background();
    let report = audit.shutdown_blocking(Duration::from_secs(10)).unwrap();
    assert_eq!(report.stored, count);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows: i64 = runtime.block_on(async {
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&pool).await.unwrap()
    });
    assert_eq!(rows, 1);
}

/// Runs this test again, as a program that records a hundred calls and then ends as it likes.
async fn program(test: &str, ends: impl FnOnce(Audit)) -> Option<(Output, Database)> {
    if is_again(test) {
        let audit = Audit::builder()
            .postgres(std::env::var("AUDIT_TEST_URL").unwrap())
            .journal(std::env::var("AUDIT_TEST_JOURNALS").unwrap())
            .start()
            .unwrap();
        audit.install().unwrap();
        for _ in 0..100 {
            submit(Uuid::now_v7());
        }
        ends(audit);
        return None;
    }
    let database = Database::new().await;
    let output = command(test, &database).output().unwrap();
    Some((output, database))
}

fn command(test: &str, database: &Database) -> Command {
    let mut command = again(test);
    command.env("AUDIT_TEST_URL", &database.url).env("AUDIT_TEST_JOURNALS", database.journals.path());
    command
}

/// All hundred calls have their row, at the latest after the next start.
async fn a_hundred_rows(database: &Database) {
    let next = database.audit().start().unwrap();
    eventually("all are stored", || async { database.events().await == 100 }).await;
    // A shutdown begins no journal of others, even if all of it is stored.
    eventually("the journal is adopted", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!(database.count("SELECT count(DISTINCT id) FROM audit_events").await, 100);
    assert_eq!(database.journal_directories(), 0);
}

#[tokio::test]
async fn process_exit_without_a_shutdown() {
    let ended = program("shutdown::process_exit_without_a_shutdown", |_| std::process::exit(7)).await;
    let Some((output, database)) = ended else { return };
    assert_eq!(output.status.code(), Some(7));
    a_hundred_rows(&database).await;
}

#[tokio::test]
async fn a_panic_in_main() {
    let Some((output, database)) = program("shutdown::a_panic_in_main", |_| panic!("in main")).await else { return };
    assert!(!output.status.success());
    a_hundred_rows(&database).await;
}

#[tokio::test]
async fn an_abort() {
    let Some((output, database)) = program("shutdown::an_abort", |_| std::process::abort()).await else { return };
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
    a_hundred_rows(&database).await;
}

#[tokio::test]
async fn a_drop_without_a_shutdown() {
    // Installed handles are never dropped. This one ends with the process.
    let Some((output, database)) = program("shutdown::a_drop_without_a_shutdown", drop).await else { return };
    assert!(output.status.success());
    a_hundred_rows(&database).await;
}

/// The actions of a forked child on its parent's trail. Returns the child's exit code.
fn in_the_child(audit: &Audit) -> i32 {
    let calls = (0..50).all(|_| submit(Uuid::now_v7()) == 1);
    let refused = audit.record(Event::new("order.accepted")).err() == Some(RecordError::Forked);
    let flush = audit.flush_blocking() == Err(StoreError::Forked);
    let shutdown = audit.shutdown_blocking(Duration::from_secs(5)) == Err(StoreError::Forked);
    i32::from(!(calls && refused && flush && shutdown))
}

#[tokio::test]
async fn a_fork_without_exec_does_not_touch_its_parents_journal() {
    let test = "shutdown::a_fork_without_exec_does_not_touch_its_parents_journal";
    let ended = program(test, |audit| {
        // SAFETY: the child only runs what is tested here, and leaves by _exit.
        match unsafe { libc::fork() } {
            0 => unsafe { libc::_exit(in_the_child(&audit)) },
            child => {
                let mut status = 0;
                // SAFETY: a child of this process.
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                assert_eq!(status, 0, "the child was refused, and its calls went on");
                audit.flush_blocking().unwrap();
                assert_eq!(audit.stats().recorded, 100, "the parent knows nothing of the child's calls");
            }
        }
    })
    .await;
    let Some((output, database)) = ended else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    a_hundred_rows(&database).await;
}

#[tokio::test]
async fn a_forked_child_that_lives_on_does_not_hold_its_parents_journal() {
    let test = "shutdown::a_forked_child_that_lives_on_does_not_hold_its_parents_journal";
    let ended = program(test, |_| {
        // SAFETY: the child makes system calls only.
        unsafe {
            if libc::fork() == 0 {
                libc::close(1);
                libc::close(2);
                libc::sleep(30);
                libc::_exit(0);
            }
            libc::kill(libc::getpid(), libc::SIGKILL);
        }
    })
    .await;
    let Some((output, database)) = ended else { return };
    assert_eq!(output.status.signal(), Some(libc::SIGKILL));
    a_hundred_rows(&database).await;
}
