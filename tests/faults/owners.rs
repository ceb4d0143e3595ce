//! Whose a journal directory is, and what somebody planted in it.

use audit_runtime::admin::journals;
use audit_runtime::{Audit, Event};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;
use tests::wait::PATIENCE;
use tests::{Database, eventually};

/// A user and a group of nobody here.
const STRANGER: u32 = 54_321;

fn start(directory: &Path, group: Option<u32>) -> Result<Audit, String> {
    let builder = Audit::builder().postgres("postgres://nobody@127.0.0.1:1/x").journal(directory);
    let builder = group.into_iter().fold(builder, audit_runtime::Builder::journal_group);
    builder.start().map_err(|error| error.to_string())
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_directory_that_others_may_write_to_is_refused_with_words() {
    let parent = tempfile::tempdir().unwrap();
    mode(parent.path(), 0o777);
    let error = start(parent.path(), None).unwrap_err();
    assert!(error.contains("everybody may write to it") && error.contains("chmod o-w"), "{error}");
    mode(parent.path(), 0o755);
    drop(start(parent.path(), None).unwrap());
    if is_root() {
        chown(parent.path(), Some(STRANGER), None).unwrap();
        let error = start(parent.path(), None).unwrap_err();
        assert!(error.contains("belongs to user 54321") && error.contains("run it as user 54321"), "{error}");
    }
}

#[test]
fn a_directory_of_a_group_has_its_mode_exactly_and_what_is_made_in_it_too() {
    if !is_root() {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("audit");
    let audit = start(&directory, Some(STRANGER)).unwrap();
    audit.record(Event::new("order.accepted")).unwrap();
    let mut seen = 0;
    let check = |path: &Path, expected: u32| {
        let metadata = std::fs::symlink_metadata(path).unwrap();
        assert_eq!((metadata.gid(), metadata.mode() & 0o7777), (STRANGER, expected), "{}", path.display());
    };
    check(&directory, 0o2770);
    check(&directory.join("lock"), 0o660);
    let journal = journals(&directory).unwrap().remove(0).path;
    check(&journal, 0o2770);
    for file in std::fs::read_dir(&journal).unwrap().flatten() {
        check(&file.path(), 0o660);
        seen += 1;
    }
    assert!(seen >= 2, "a lock and a segment");
    audit.shutdown_blocking(Duration::ZERO).unwrap();
    mode(&directory, 0o770);
    let error = start(&directory, Some(STRANGER)).unwrap_err();
    assert!(error.contains("mode 770") && error.contains("chmod 2770"), "{error}");
}

#[tokio::test]
async fn journals_of_another_user_are_left_unless_they_are_the_groups() {
    if !is_root() {
        return;
    }
    let database = Database::new().await;
    let foreign = database.orphan(3).await;
    let files = || std::fs::read_dir(&foreign).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    chown(&foreign, Some(STRANGER), Some(STRANGER)).unwrap();
    files().iter().for_each(|file| chown(file, Some(STRANGER), Some(STRANGER)).unwrap());
    database.orphan(1).await;
    let audit = database.audit().start().unwrap();
    eventually("the own one is shipped", || async { audit.stats().adopted_journals == 1 }).await;
    eventually("one is left", || async { audit.stats().inherited_journals == 1 }).await;
    let report = audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!((report.inherited_journals, database.events_of("order.orphaned").await), (1, 1));
    // Shared, with each mode as it has to be.
    chown(database.journals.path(), None, Some(STRANGER)).unwrap();
    mode(database.journals.path(), 0o2770);
    mode(&foreign, 0o2770);
    files().iter().for_each(|file| mode(file, 0o660));
    let audit = database.audit().journal_group(STRANGER).start().unwrap();
    eventually("it is shipped", || async { database.events_of("order.orphaned").await == 4 }).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn links_are_not_followed_and_planted_files_are_neither_read_whole_nor_a_panic() {
    type Plant = fn(&Path, &Path);
    let plants: [(&str, Plant); 5] = [
        ("a link in place of the lock", |journal, elsewhere| {
            std::fs::remove_file(journal.join("lock")).unwrap();
            symlink(elsewhere.join("made"), journal.join("lock")).unwrap();
        }),
        ("a link in place of the directory", |journal, elsewhere| {
            std::fs::rename(journal, elsewhere.join("moved")).unwrap();
            symlink(elsewhere.join("moved"), journal).unwrap();
        }),
        ("a segment at the last position", |journal, _| {
            std::fs::write(journal.join("18446744073709551615.journal"), [0; 4_096]).unwrap();
        }),
        ("a file of 50 GB", |journal, _| {
            let file = std::fs::File::create(journal.join("00000000000099999744.journal")).unwrap();
            file.set_len(50 << 30).unwrap();
        }),
        ("a pipe", |journal, _| {
            let path = journal.join("00000000000099999744.journal");
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        }),
    ];
    for (name, plant) in plants {
        let (database, elsewhere) = (Database::new().await, tempfile::tempdir().unwrap());
        let planted = database.orphan(3).await;
        plant(&planted, elsewhere.path());
        database.orphan(1).await;
        // Looking at them does no harm either.
        let _ = journals(database.journals.path());
        let audit = database.audit().start().unwrap();
        let receipt = audit.record(Event::new("order.accepted")).unwrap();
        tokio::time::timeout(PATIENCE, receipt.stored()).await.unwrap().unwrap();
        eventually(name, || async { audit.stats().adopted_journals == 1 }).await;
        eventually(name, || async { audit.stats().inherited_journals == 1 }).await;
        let report = audit.shutdown(Duration::from_secs(10)).await.unwrap();
        assert_eq!((report.left_in_journal, report.inherited_journals), (0, 1), "{name}");
        assert!(std::fs::symlink_metadata(&planted).is_ok(), "{name}: it is left as it is");
        assert!(!elsewhere.path().join("made").exists(), "{name}");
    }
}
