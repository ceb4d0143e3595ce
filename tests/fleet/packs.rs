//! `audit-trail journal pack` and `journal ship FILE`, and files that are not as they were.

use crate::pod::{master_key, run, succeeds};
use audit_runtime::admin::{JournalPack, JournalState, PackError, journals};
use audit_runtime::{Event, MasterKey};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tests::{Database, RelayProcess, eventually};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_journal_is_packed_once_its_process_has_ended_and_shipped_from_the_file() {
    let (database, places) = (Database::new().await, tempfile::tempdir().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let file = places.path().join("one.auditpack");
    let live = database.audit().postgres("postgres://127.0.0.1:1/x").start().unwrap();
    live.record(Event::new("order.accepted")).unwrap();
    let journal = std::fs::read_dir(database.journals.path()).unwrap().flatten().find(|entry| entry.path().is_dir());
    let journal = journal.unwrap().path();
    let refused = |arguments: &[&str], code: i32, why: &str| {
        let output = run(&database, temporary.path(), arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(code) && stderr.contains(why),
            "{arguments:?}: {:?} {stderr}",
            output.status
        );
    };
    refused(&["journal", "pack", path(&journal), path(&file)], 1, "is in use by a process");
    refused(&["journal", "pack", path(database.journals.path()), path(&file)], 1, "no journal of an ended process");
    assert!(!file.exists());
    live.shutdown(Duration::ZERO).await.unwrap();
    drop(live);

    std::fs::write(&file, "mine").unwrap();
    refused(&["journal", "pack", path(&journal), path(&file)], 2, "File exists");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(places.path().join("elsewhere"), &file).unwrap();
    refused(&["journal", "pack", path(&journal), path(&file)], 2, "File exists");
    std::fs::remove_file(&file).unwrap();
    // A link in the journal leads out of it.
    let planted = journal.join("00000000000000009999.journal");
    std::os::unix::fs::symlink("/etc/hostname", &planted).unwrap();
    refused(&["journal", "pack", path(&journal), path(&file)], 1, "");
    assert!(!file.exists());
    std::fs::remove_file(planted).unwrap();

    let packed = succeeds(&database, temporary.path(), &["journal", "pack", path(&journal), path(&file)]);
    let ship = format!("audit-trail journal ship {} stores them", file.display());
    assert_eq!(packed, format!("1 event of 1 journal packed; {} alone has them now: {ship}\n", file.display()));
    assert!(!journal.exists());
    let shipped = succeeds(&database, temporary.path(), &["journal", "ship", path(&file)]);
    assert_eq!(shipped, "1 event of 1 journal shipped\n");
    refused(&["journal", "pack", path(&journal), path(&places.path().join("two"))], 2, "No such file");
    database.is_unharmed().await;
}

#[tokio::test]
async fn several_journals_with_personal_data_are_packed_with_a_key_only() {
    let (database, places) = (Database::new().await, tempfile::tempdir().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let key = master_key(places.path());
    let audit = database.audit().postgres("postgres://127.0.0.1:1/x").master_key(MasterKey::from_file(&key).unwrap());
    let audit = audit.start().unwrap();
    audit.record(Event::new("mail.sent").personal("customer:42", &json!({"to": "ann@example.com"}))).unwrap();
    audit.shutdown(Duration::ZERO).await.unwrap();
    database.orphan(4).await;
    let file = places.path().join("all");
    let pack = ["journal", "pack", path(database.journals.path()), path(&file)];
    let refused = run(&database, temporary.path(), &pack);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("contains personal data"));
    assert_eq!((file.exists(), database.journal_directories()), (false, 2));
    let packed = succeeds(&database, temporary.path(), &[&pack[..], &["--master-key", path(&key)]].concat());
    assert!(packed.starts_with("5 events of 2 journals packed"), "{packed}");
    assert_eq!(database.journal_directories(), 0);
    let ship = ["journal", "ship", path(&file), "--master-key", path(&key)];
    assert_eq!(succeeds(&database, temporary.path(), &ship), "5 events of 2 journals shipped\n");
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_file_is_shipped_to_a_relay_without_a_way_to_the_database() {
    let (database, places) = (Database::new().await, tempfile::tempdir().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(&database.url);
    database.orphan(4).await;
    let file = places.path().join("one");
    succeeds(&database, temporary.path(), &["journal", "pack", path(database.journals.path()), path(&file)]);
    let away = ["--database-url", "postgres://127.0.0.1:1/x", "journal", "ship", path(&file)];
    let shipped = succeeds(&database, temporary.path(), &[&away[..], &["--relay", &relay.address()]].concat());
    assert_eq!((shipped.as_str(), database.events().await), ("4 events of 1 journal shipped\n", 4));
    database.is_unharmed().await;
}

/// Lengths at which something begins or ends, and some between.
fn lengths(whole: usize) -> BTreeSet<usize> {
    let edges = [0, 1, 7, 8, 9, 10, 12, 20, 36, 40, 108, 112, 1 << 10, 1 << 16, 1 << 20, whole - 32, whole];
    let around = |edge: usize| [edge.saturating_sub(1), edge, edge + 1];
    let around = edges.into_iter().flat_map(around).filter(|length| *length < whole);
    around.chain((0..whole).step_by(whole / 50)).collect()
}

#[tokio::test]
async fn of_a_file_that_is_torn_or_damaged_nothing_is_shipped() {
    let (database, places) = (Database::new().await, tempfile::tempdir().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let key_file = master_key(places.path());
    let key = MasterKey::from_file(&key_file).unwrap();
    for packer in [JournalPack::new(), JournalPack::new().master_key(key)] {
        // Of more than one chunk.
        let journal = database.orphan(9_000).await;
        // Its writer may outlast the shutdown.
        let waits = || journals(database.journals.path()).unwrap()[0].state == JournalState::Waiting;
        eventually("the journal is let go of", async || waits()).await;
        let file = places.path().join("whole");
        let report = packer.pack(&journal, &file).unwrap();
        assert_eq!(report.events(), 9_000);
        let whole = std::fs::read(&file).unwrap();
        assert!(whole.len() > 1 << 20, "{}", whole.len());
        let torn = places.path().join("torn");
        let into = places.path().join("into");
        let error = |bytes: &[u8]| {
            std::fs::write(&torn, bytes).unwrap();
            let error = packer.unpack(&torn, &into).unwrap_err();
            assert!(!into.exists(), "{error}");
            error
        };
        for length in lengths(whole.len()) {
            let error = error(&whole[..length]);
            let is_expected = match length {
                0..8 => matches!(error, PackError::Foreign(_)),
                _ => matches!(error, PackError::Length { .. }),
            };
            assert!(is_expected, "{length} of {}: {error}", whole.len());
            assert!(error.to_string().contains("torn"), "{error}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert!(matches!(error(&longer), PackError::Length { .. }));
        for at in lengths(whole.len()) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x20;
            let error = error(&flipped);
            let is_expected = match at {
                0..8 => matches!(error, PackError::Foreign(_)),
                8..10 => matches!(error, PackError::Newer { .. }),
                12..20 => matches!(error, PackError::Length { .. }),
                _ => matches!(error, PackError::Damaged(_) | PackError::Length { .. }),
            };
            assert!(is_expected, "byte {at}: {error}");
        }
        std::fs::write(&torn, &whole[..whole.len() / 2]).unwrap();
        let ship = ["journal", "ship", path(&torn), "--master-key", path(&key_file)];
        let output = run(&database, temporary.path(), &ship);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains("nothing of it was shipped"), "{stderr}");
        assert_eq!((database.events().await, std::fs::read_dir(temporary.path()).unwrap().count()), (0, 0));
        std::fs::remove_file(file).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_no_pack_made_is_refused_with_words() {
    let (database, places) = (Database::new().await, tempfile::tempdir().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let file = places.path().join("notes.txt");
    std::fs::write(&file, "these are notes, and no journals").unwrap();
    let output = run(&database, temporary.path(), &["journal", "ship", path(&file)]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("these are no packed journals"), "{stderr}");
}
