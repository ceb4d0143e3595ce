//! Journals of other versions of this library.

use audit_runtime::{Audit, Event, MasterKey, audited};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tests::{Database, eventually};

const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn master_key() -> MasterKey {
    MASTER_KEY.parse().unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Ships what a service of the old revision left when it died, and checks each event.
async fn is_shipped(database: &Database) {
    let audit = database.audit().master_key(master_key()).start().unwrap();
    eventually("the old journal is shipped", || async { database.journal_directories() == 1 }).await;
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let count = |sql| database.count(sql);
    assert_eq!(
        count("SELECT count(*) FROM audit_events WHERE event_type = 'order.submitted' AND outcome = 'ok'").await,
        16
    );
    assert_eq!(
        count("SELECT count(*) FROM audit_events WHERE event_type = 'order.submitted' AND outcome = 'error'").await,
        4
    );
    assert_eq!(count("SELECT count(*) FROM audit_events WHERE data::text LIKE '%199.39999999999998%'").await, 20);
    assert_eq!(
        count("SELECT count(*) FROM audit_events WHERE event_type IN ('mail.changed', 'cache.cleared')").await,
        2
    );
    assert_eq!(count("SELECT count(*) FROM audit_events WHERE data::text LIKE '%ada@example.org%'").await, 0);
    assert_eq!(count("SELECT count(*) FROM audit_events WHERE event_type = 'audit.interrupted'").await, 1);
    // The batch names its recorder, not its shipper.
    assert_eq!(count("SELECT count(*) FROM audit_batches WHERE origin LIKE 'old@%'").await, 1);
    assert_eq!(database.count("SELECT count(*) FROM audit_quarantine").await, 0);
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_journal_of_format_1_is_shipped() {
    let database = Database::new().await;
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/fixtures/journal-1"), database.journals.path());
    is_shipped(&database).await;
}

#[tokio::test]
async fn a_journal_of_format_2_with_events_of_version_1_is_shipped() {
    let database = Database::new().await;
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/fixtures/journal-2-events-1"), database.journals.path());
    is_shipped(&database).await;
}

#[audited(event = "customer.changed", id = none, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {}

/// Leaves a journal in the directory that `AUDIT_FIXTURE` names: six events, of which two are in a batch
/// that was cut and not stored.
#[tokio::test]
#[ignore = "it has made fixtures/journal-2-cut-keys"]
async fn a_journal_is_left_for_the_fixtures() {
    let database = Database::new().await;
    let mut holder = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_batches IN SHARE MODE").execute(&mut *holder).await.unwrap();
    let audit = database.audit().segment_bytes(1 << 20).master_key(master_key()).batch_rows(2).connections(1);
    let audit = audit.start().unwrap();
    let six = async { (0..6).for_each(|number| change("customer:42", &format!("ann+{number}@example.com"))) };
    audit.scope(six).await;
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'audit_batches'::regclass";
    eventually("a batch waits", || async { database.count(waiting).await == 1 }).await;
    assert_eq!(database.abandon(audit).await.left_in_journal, 6);
    copy(database.journals.path(), Path::new(&std::env::var_os("AUDIT_FIXTURE").unwrap()));
    holder.rollback().await.unwrap();
}

#[tokio::test]
async fn a_cut_log_with_keys_has_its_batches_encrypted_by_those() {
    let database = Database::new().await;
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/fixtures/journal-2-cut-keys"), database.journals.path());
    let audit = database.audit().master_key(master_key()).start().unwrap();
    eventually("it is shipped", || async { database.journal_directories() == 1 }).await;
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(database.events_of("customer.changed").await, 6);
    let key = "SELECT count(*) FROM audit_keys WHERE id = '01a22aad77af766289235b80c6cd8af4'";
    assert_eq!(database.count(key).await, 1);
    let root = "SELECT count(*) FROM audit_batches WHERE rows = 2 AND root = '\\xcb6385bb9f3901430212dbe22985380af63955cee2b40aecfd4377205fb75a8f'";
    assert_eq!(database.count(root).await, 1);
    database.is_unharmed().await;
}

/// The program that `scripts/old-revision.sh` makes.
fn old() -> Option<PathBuf> {
    let program = std::env::var_os("AUDIT_OLD_PROGRAM").map(PathBuf::from);
    if program.is_none() {
        eprintln!("left out: scripts/old-revision.sh runs it, which compiles an old revision");
    }
    program
}

fn run(program: &Path, task: &str, url: &str, journals: &Path) -> Output {
    Command::new(program).args([task, url]).arg(journals).output().unwrap()
}

#[tokio::test]
async fn old_journals_are_shipped_and_the_old_program_leaves_new_ones_alone() {
    let Some(program) = old() else { return };
    let database = Database::new().await;
    run(&program, "leave", "postgres://postgres@127.0.0.1:1/x", database.journals.path());
    is_shipped(&database).await;
    // A process of this version dies with an event in its journal.
    let nowhere = Audit::builder().postgres("postgres://postgres@127.0.0.1:1/x").service("new");
    let audit = nowhere.journal(database.journals.path()).start().unwrap();
    audit.record(Event::new("new.recorded")).unwrap();
    assert_eq!(audit.shutdown(Duration::ZERO).await.unwrap().left_in_journal, 1);
    let output = run(&program, "start", &database.url, database.journals.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(database.journal_directories(), 1, "the old program leaves what it does not know");
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE event_type = 'old.started'").await, 1);
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE event_type = 'new.recorded'").await, 0);
    let audit = database.audit().start().unwrap();
    eventually("it is shipped here", || async {
        database.count("SELECT count(*) FROM audit_events WHERE event_type = 'new.recorded'").await == 1
    })
    .await;
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
}
