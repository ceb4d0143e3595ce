//! Last resorts that fail: nothing is lost, and the journal stays.

use audit_runtime::admin::{JournalState, journals};
use audit_runtime::{Audit, Event, LastResort, MasterKey, ShutdownReport};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::{Database, SmallDisk, eventually};

const NOWHERE: &str = "postgres://nobody@127.0.0.1:1/nothing";

fn start(database: &Database, last_resort: LastResort) -> Audit {
    database.audit().postgres(NOWHERE).last_resort(last_resort).start().unwrap()
}

/// A service that records ten events and ends while PostgreSQL is away.
async fn ended(database: &Database, last_resort: LastResort) -> ShutdownReport {
    let audit = start(database, last_resort);
    (0..10).for_each(|_| drop(audit.record(Event::new("order.accepted")).unwrap()));
    audit.shutdown(Duration::ZERO).await.unwrap()
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[tokio::test]
async fn a_last_resort_that_fails_leaves_the_journal_as_it_is() {
    let (database, places) = (Database::new().await, tempfile::tempdir().unwrap());
    let taken = places.path().join("taken");
    std::fs::write(&taken, "mine").unwrap();
    let link = places.path().join("link");
    std::os::unix::fs::symlink(places.path().join("nothing"), &link).unwrap();
    let broken = [
        LastResort::file(&taken),
        LastResort::file(&link),
        LastResort::file(places.path().join("no/such/directory")),
        LastResort::command("exit 3"),
        LastResort::command("cat > /dev/null; exit 3"),
        // It says well of what it has not read.
        LastResort::command("true"),
        LastResort::command("exec no-such-program"),
        LastResort::command("kill -9 $$"),
        LastResort::command("cat > /dev/full"),
    ];
    let mut waiting = 0;
    for last_resort in broken {
        let name = format!("{last_resort:?}");
        let report = ended(&database, last_resort).await;
        waiting += 1;
        assert_eq!((report.packed, report.left_in_journal), (0, 10), "{name}");
        let found = journals(database.journals.path()).unwrap();
        assert!(found.len() == waiting && found.iter().all(|journal| journal.state == JournalState::Waiting), "{name}");
        assert_eq!(files(places.path()), 2, "{name}");
    }
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    let next = database.audit().start().unwrap();
    eventually("all is shipped", async || next.stats().adopted_journals == waiting as u64).await;
    assert_eq!(database.events().await, 10 * waiting as i64);
    next.shutdown(Duration::from_secs(10)).await.unwrap();
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_in_time() {
    let (database, places) = (Database::new().await, tempfile::tempdir().unwrap());
    let id = places.path().join("id");
    for command in ["exec sleep 600", "cat | cat > /dev/null; exec sleep 600"] {
        let begin = Instant::now();
        let noted = format!("echo $$ > {}; {command}", id.display());
        let report = ended(&database, LastResort::command(noted).within(Duration::from_millis(300))).await;
        assert_eq!((report.packed, report.left_in_journal), (0, 10));
        assert!(begin.elapsed() < Duration::from_secs(3), "{command}: {:?}", begin.elapsed());
        let process = std::fs::read_to_string(&id).unwrap();
        let is_gone = || !Path::new("/proc").join(process.trim()).exists();
        eventually("the command is killed", async || is_gone()).await;
    }
}

#[tokio::test]
async fn a_full_disk_leaves_no_half_file() {
    let Some(disk) = SmallDisk::mount(16 << 10) else { return };
    let database = Database::new().await;
    let report = ended(&database, LastResort::file(disk.path())).await;
    assert_eq!((report.packed, report.left_in_journal, files(disk.path())), (0, 10, 0));
    assert_eq!(database.journal_directories(), 1);
}

#[tokio::test]
async fn journals_of_others_stay_where_another_process_ships_them() {
    let (database, spool) = (Database::new().await, tempfile::tempdir().unwrap());
    database.orphan(5).await;
    let beside = start(&database, LastResort::command("exit 1"));
    let report = ended(&database, LastResort::file(spool.path())).await;
    assert_eq!((report.packed, files(spool.path()), database.journal_directories()), (10, 1, 2));
    // The last one takes them.
    assert_eq!(beside.shutdown(Duration::ZERO).await.unwrap().packed, 0);
    let report = ended(&database, LastResort::file(spool.path())).await;
    assert_eq!((report.packed, report.inherited_journals, files(spool.path())), (10, 0, 2));
}

#[tokio::test]
async fn personal_values_are_never_packed_in_clear() {
    let (database, spool) = (Database::new().await, tempfile::tempdir().unwrap());
    let with_key = database.audit().postgres(NOWHERE).master_key(MasterKey::generate()).start().unwrap();
    let event = Event::new("mail.sent").personal("customer:42", &json!({"to": "ann@example.com"}));
    with_key.record(event).unwrap();
    with_key.shutdown(Duration::ZERO).await.unwrap();
    let report = ended(&database, LastResort::file(spool.path())).await;
    assert_eq!((report.packed, files(spool.path()), database.journal_directories()), (10, 1, 1));
}

#[tokio::test]
async fn a_trail_that_recorded_nothing_leaves_no_file() {
    let (database, spool) = (Database::new().await, tempfile::tempdir().unwrap());
    let audit = start(&database, LastResort::file(spool.path()));
    let report = audit.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!((report.packed, report.left_in_journal, files(spool.path())), (0, 0, 0));
}
