//! Journals of other versions of this library.

use audit_runtime::{Audit, Event, MasterKey};
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
