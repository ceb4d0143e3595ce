//! Things that others leave behind or put in the way: journals of the dead, held locks, triggers
//! that drop rows.

use audit_runtime::{Audit, Event, Overflow, RecordError, audited};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use std::path::PathBuf;
use std::time::Duration;
use tests::wait::PATIENCE;
use tests::{Database, eventually};
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
#[error("the database: {0}")]
struct Failed(#[from] sqlx::Error);

#[audited(event = "order.stored", tx = tx)]
async fn store(tx: &mut PgConnection, order_id: Uuid) -> Result<(), Failed> {
    std::future::ready(()).await;
    Ok(())
}

/// Makes PostgreSQL drop rows of one kind without a word.
async fn drop_silently(database: &Database, condition: &str) {
    let trigger = format!(
        "CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF {condition} THEN RETURN NULL; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER drop_some BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION drop_some()"
    );
    sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&database.pool).await.unwrap();
}

#[tokio::test]
async fn a_row_that_a_trigger_drops_is_kept_in_the_quarantine_and_holds_up_nobody() {
    let database = Database::new().await;
    drop_silently(&database, "NEW.actor = 'noise'").await;
    let audit = database.audit().start().unwrap();
    for number in 0..20 {
        let actor = if number == 7 { "noise" } else { "ann" };
        audit.record(Event::new("order.accepted").actor(actor)).unwrap();
    }
    let report = audit.shutdown(LONG).await.unwrap();
    assert_eq!((report.left_in_journal, database.events_of("order.accepted").await), (0, 19));
    let error: String =
        sqlx::query_scalar("SELECT error FROM audit_quarantine").fetch_one(&database.pool).await.unwrap();
    assert!(error.contains("trigger") && error.contains("retry"), "{error}");
    let quarantine = audit_runtime::admin::Admin::new(database.pool.clone());
    let id = quarantine.quarantine().await.unwrap()[0].id;
    assert!(matches!(quarantine.retry(id).await.unwrap(), audit_runtime::admin::RetryOutcome::RefusedAgain(_)));
    sqlx::query("DROP TRIGGER drop_some ON audit_events").execute(&database.pool).await.unwrap();
    assert_eq!(quarantine.retry(id).await.unwrap(), audit_runtime::admin::RetryOutcome::Stored);
    assert_eq!(database.events_of("order.accepted").await, 20);
}

#[tokio::test]
async fn a_row_of_a_transaction_that_is_not_inserted_is_an_error_of_the_call() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    drop_silently(&database, "NEW.event_type = 'order.stored'").await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let Failed(error) = audit.scope(store(&mut connection, Uuid::now_v7())).await.unwrap_err();
    assert!(error.to_string().contains("a trigger or a rule"), "{error}");
    sqlx::raw_sql(
        "DROP TRIGGER drop_some ON audit_events; CREATE RULE nothing AS ON INSERT TO audit_events DO INSTEAD NOTHING",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    audit.scope(store(&mut connection, Uuid::now_v7())).await.unwrap_err();
    sqlx::query("DROP RULE nothing ON audit_events").execute(&database.pool).await.unwrap();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    audit.scope(store(&mut connection, Uuid::now_v7())).await.unwrap();
    assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_keeps_no_other_from_being_shipped() {
    let database = Database::new().await;
    let mut orphans = Vec::new();
    for _ in 0..4 {
        orphans.push(database.orphan(10).await);
    }
    let broken = orphans[1].join("00000000000099999999.journal");
    std::os::unix::fs::symlink("nowhere", &broken).unwrap();
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap();
    eventually("the others are shipped", || async { audit.stats().adopted_journals == 3 }).await;
    eventually("one is left", || async { audit.stats().inherited_journals == 1 }).await;
    let report = audit.shutdown(LONG).await.unwrap();
    assert_eq!((report.left_in_journal, report.inherited_journals), (0, 1));
    assert_eq!((database.events_of("order.orphaned").await, database.events_of("order.accepted").await), (30, 1));
    assert!(broken.is_symlink() && orphans[1].join("lock").exists(), "it is left as it is");
    std::fs::remove_file(&broken).unwrap();
    let audit = database.audit().start().unwrap();
    eventually("it is shipped, too", || async { audit.stats().adopted_journals == 1 }).await;
    eventually("nothing is left", || async { audit.stats().inherited_journals == 0 }).await;
    assert_eq!(database.events_of("order.orphaned").await, 40);
    assert_eq!(audit.shutdown(LONG).await.unwrap().inherited_journals, 0);
}

#[tokio::test]
async fn an_orphan_whose_transaction_is_under_way_holds_up_neither_the_live_trail_nor_other_orphans() {
    let database = Database::new().await;
    let held = database.orphan(10).await;
    database.orphan(7).await;
    let id: Uuid = held.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let mut holder = PgConnection::connect(&database.url).await.unwrap();
    let mut transaction = holder.begin().await.unwrap();
    let batch = "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin) VALUES (gen_random_uuid(), $1, 0, 1, 0, '')";
    sqlx::query(batch).bind(id).execute(&mut *transaction).await.unwrap();
    let audit = database.audit().start().unwrap();
    let receipt = audit.record(Event::new("order.accepted")).unwrap();
    tokio::time::timeout(PATIENCE, receipt.stored()).await.unwrap().unwrap();
    eventually("the other orphan", || async { database.events_of("order.orphaned").await == 7 }).await;
    let next = audit.record(Event::new("order.accepted")).unwrap();
    next.stored().await.unwrap();
    assert_eq!(database.events_of("order.orphaned").await, 7, "the transaction is still under way");
    transaction.rollback().await.unwrap();
    eventually("the orphan that was held", || async { database.events_of("order.orphaned").await == 17 }).await;
    assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
}

#[tokio::test]
async fn a_batch_says_how_long_a_silent_client_is_waited_for_unless_the_options_do() {
    let database = Database::new().await;
    let seen = "CREATE TABLE seen (idle text); \
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        INSERT INTO seen VALUES (current_setting('tcp_keepalives_idle')); RETURN NEW; END $$; \
        CREATE TRIGGER see BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION see()";
    sqlx::raw_sql(seen).execute(&database.pool).await.unwrap();
    for (options, expected) in [("", "5"), ("options=-c%20tcp_keepalives_idle%3D77", "77")] {
        let separator = if database.url.contains('?') { "&" } else { "?" };
        let audit = database.audit().postgres(format!("{}{separator}{options}", database.url)).start().unwrap();
        audit.record(Event::new("order.accepted")).unwrap();
        assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
        let last: String = sqlx::query_scalar("SELECT idle FROM seen").fetch_one(&database.pool).await.unwrap();
        sqlx::query("DELETE FROM seen").execute(&database.pool).await.unwrap();
        assert_eq!(last, expected, "{options}");
    }
}

#[tokio::test]
async fn for_ever_is_a_time_to_wait() {
    let database = Database::new().await;
    let audit = Audit::builder()
        .postgres(database.url.as_str())
        .journal(database.journals.path())
        .segment_bytes(1 << 20)
        .journal_limit(2 << 20)
        .overflow(Overflow::Wait(Duration::MAX))
        .start()
        .unwrap();
    // Far more than the journal holds.
    let text = "x".repeat(1_000);
    for _ in 0..6_000 {
        audit.record(Event::new("order.accepted").actor(&text)).unwrap();
    }
    assert_eq!(audit.shutdown(Duration::MAX).await.unwrap().left_in_journal, 0);
    assert_eq!(database.events_of("order.accepted").await, 6_000);
}

#[tokio::test]
async fn an_idle_process_gives_its_connections_back_and_takes_another_when_there_is_something_to_store() {
    let database = Database::new().await;
    let name = format!("idle-{}", Uuid::now_v7().simple());
    let separator = if database.url.contains('?') { "&" } else { "?" };
    let url = format!("{}{separator}application_name={name}", database.url);
    let audit = database.audit().postgres(url).start().unwrap();
    let connections = || async {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
        sqlx::query_scalar::<_, i64>(count).bind(&name).fetch_one(&database.pool).await.unwrap()
    };
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    assert!(connections().await > 0);
    eventually("the connection is given back", || async { connections().await == 0 }).await;
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
    assert_eq!(database.events_of("order.accepted").await, 2);
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_writer_wakes_a_few_times_a_second() {
    const TEST: &str = "neighbours::an_idle_writer_wakes_a_few_times_a_second";
    if !tests::again::is_again(TEST) {
        assert!(tests::again::again(TEST).status().unwrap().success());
        return;
    }
    let journal = tempfile::tempdir().unwrap();
    let audit = Audit::builder().postgres("postgres://nobody@127.0.0.1:1/x").journal(journal.path()).start().unwrap();
    let switches = || -> u64 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path());
        let of_writer =
            |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "audit-writer");
        let status = tasks.filter(of_writer).filter_map(|path| std::fs::read_to_string(path.join("status")).ok());
        let line = |status: String| {
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        status.filter_map(line).sum()
    };
    let (mut before, mut at) = (switches(), std::time::Instant::now());
    tests::wait::until("a second with few wake-ups", || {
        if at.elapsed() < Duration::from_secs(1) {
            return None;
        }
        let few = switches() - before < 20;
        (before, at) = (switches(), std::time::Instant::now());
        few.then_some(())
    });
    audit.shutdown_blocking(Duration::ZERO).unwrap();
}

#[audited(event = "order.required", required)]
fn require(order_id: Uuid) -> Result<(), RecordError> {
    Ok(())
}

#[test]
fn a_directory_that_is_removed_or_replaced_under_a_process_is_noticed() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm); 4] = [
        ("removed", |journal| std::fs::remove_dir_all(journal).unwrap()),
        ("emptied", |journal| {
            let files = std::fs::read_dir(journal).unwrap().flatten().map(|entry| entry.path());
            files.filter(|path| path.extension().is_some()).for_each(|path| std::fs::remove_file(path).unwrap());
        }),
        ("renamed", |journal| std::fs::rename(journal, journal.with_extension("old")).unwrap()),
        ("replaced", |journal| {
            std::fs::rename(journal, journal.with_extension("old")).unwrap();
            std::fs::create_dir(journal).unwrap();
            std::fs::write(journal.join("lock"), "").unwrap();
        }),
    ];
    for (name, harm) in harms {
        let journals = tempfile::tempdir().unwrap();
        let audit =
            Audit::builder().postgres("postgres://nobody@127.0.0.1:1/x").journal(journals.path()).start().unwrap();
        let _entered = audit.enter();
        require(Uuid::now_v7()).unwrap();
        let journal =
            std::fs::read_dir(journals.path()).unwrap().flatten().map(|entry| entry.path()).find(|path| path.is_dir());
        harm(&journal.unwrap());
        let error = require(Uuid::now_v7()).unwrap_err();
        assert!(matches!(error, RecordError::NotSynced), "{name}: {error:?}");
        audit.record(Event::new("order.accepted")).unwrap();
        audit.shutdown_blocking(Duration::ZERO).unwrap();
    }
}
