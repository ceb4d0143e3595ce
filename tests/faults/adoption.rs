//! Journals of the dead, adopted by the living.

use audit_runtime::{Event, audited};
use sqlx::{Connection, PgConnection};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::again::{again, is_again};
use tests::wait::PATIENCE;
use tests::{Database, eventually};
use uuid::Uuid;

const SOON: Duration = Duration::from_millis(100);

/// How many descriptors of this process lead into a directory.
fn descriptors(directory: &Path) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter(|path| path.starts_with(directory))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_journals_are_shipped_beside_live_traffic_with_a_handful_of_descriptors() {
    let many: usize = std::env::var("AUDIT_TEST_ORPHANS").map_or(200, |many| many.parse().unwrap());
    let database = Database::new().await;
    for _ in 0..many {
        database.orphan(1).await;
    }
    let journals = database.journals.path().canonicalize().unwrap();
    let begin = Instant::now();
    let audit = database.audit().start().unwrap();
    let (mut most, mut live, mut slowest) = (0, 0, Duration::ZERO);
    while database.journal_directories() > 1 {
        let recorded = Instant::now();
        audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
        live += 1;
        slowest = slowest.max(recorded.elapsed());
        most = most.max(descriptors(&journals));
        assert!(begin.elapsed() < 5 * PATIENCE, "{} are left", database.journal_directories());
    }
    let rate = many as f64 / begin.elapsed().as_secs_f64();
    println!(
        "{rate:.0} journals a second beside {live} live events, the slowest stored after {slowest:?}; {most} descriptors"
    );
    assert!(rate > 0.5, "{rate:.1} journals a second");
    assert!(slowest < Duration::from_secs(20), "a live event took {slowest:?}");
    // Its own, and the locks of those that are removed together.
    assert!(most <= 20, "{most} descriptors");
    assert_eq!(database.events_of("order.orphaned").await, many as i64);
    eventually("nothing is left", || async { audit.stats().inherited_journals == 0 }).await;
    let report = audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!((report.left_in_journal, report.inherited_journals), (0, 0));
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_living_process_adopts_what_dies_beside_it() {
    let database = Database::new().await;
    let living = database.audit().adopt_every(SOON).start().unwrap();
    for number in 1..=2 {
        database.orphan(3).await;
        eventually("it is shipped", || async { living.stats().adopted_journals == number }).await;
    }
    assert_eq!((living.stats().adopted, database.journal_directories()), (6, 1));
    assert_eq!(database.events_of("order.orphaned").await, 6);
    living.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[audited(event = "order.submitted", intent)]
fn submit(order_id: Uuid) {
    std::process::abort();
}

#[tokio::test]
async fn a_living_process_closes_the_intents_of_one_that_dies_beside_it() {
    const TEST: &str = "adoption::a_living_process_closes_the_intents_of_one_that_dies_beside_it";
    if is_again(TEST) {
        let audit = audit_runtime::Audit::builder()
            .postgres(std::env::var("AUDIT_TEST_URL").unwrap())
            .journal(std::env::var("AUDIT_TEST_JOURNALS").unwrap())
            .start()
            .unwrap();
        let _entered = audit.enter();
        submit(Uuid::now_v7());
    }
    let database = Database::new().await;
    let living = database.audit().adopt_every(SOON).start().unwrap();
    let mut dying = again(TEST);
    dying.env("AUDIT_TEST_URL", &database.url).env("AUDIT_TEST_JOURNALS", database.journals.path());
    assert_eq!(dying.output().unwrap().status.signal(), Some(libc::SIGABRT));
    eventually("it is told", || async { database.events_of("audit.interrupted").await == 1 }).await;
    eventually("it is removed", || async { database.journal_directories() == 1 }).await;
    living.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_journal_that_cannot_be_stored_goes_to_the_back_and_is_stored_when_it_can() {
    let database = Database::new().await;
    let bad = database.orphan(3).await;
    for _ in 0..3 {
        database.orphan(1).await;
    }
    let id = bad.file_name().unwrap().to_str().unwrap();
    let refuse = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.journal_id = '{id}' THEN RAISE 'not this one' USING ERRCODE = '55P03'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON audit_batches FOR EACH ROW EXECUTE FUNCTION refuse()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse)).execute(&database.pool).await.unwrap();
    let audit = database.audit().start().unwrap();
    let receipt = audit.record(Event::new("order.accepted")).unwrap();
    tokio::time::timeout(PATIENCE, receipt.stored()).await.unwrap().unwrap();
    eventually("the others are shipped", || async { database.events_of("order.orphaned").await == 3 }).await;
    eventually("it alone is left", || async { audit.stats().inherited_journals == 1 }).await;
    assert!(bad.exists());
    sqlx::query("DROP TRIGGER refuse ON audit_batches").execute(&database.pool).await.unwrap();
    eventually("it is shipped, too", || async { database.events_of("order.orphaned").await == 6 }).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_its_own_events_and_says_what_is_left_of_others() {
    let database = Database::new().await;
    let mut holder = PgConnection::connect(&database.url).await.unwrap();
    let mut transaction = holder.begin().await.unwrap();
    for _ in 0..5 {
        let orphan = database.orphan(2).await;
        let id: Uuid = orphan.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let (high, low) = id.as_u64_pair();
        let lock = "SELECT pg_advisory_xact_lock_shared($1)";
        sqlx::query(lock).bind((high ^ low).cast_signed()).execute(&mut *transaction).await.unwrap();
    }
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap();
    let begin = Instant::now();
    let report = audit.shutdown(PATIENCE).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!((report.stored, report.left_in_journal, report.inherited_journals), (1, 0, 5));
    transaction.rollback().await.unwrap();
}
