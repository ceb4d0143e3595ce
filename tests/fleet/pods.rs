//! Pods that are deleted, with their disk, while PostgreSQL is away.

use crate::pod::{Pod, copy, master_key, run, succeeds};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tests::{Cluster, Config, Database, eventually};

/// A part of the event's personal value.
const PERSONAL: &[u8] = b"ann@example.com";

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The directories of a test: keys and spool survive, the disk goes with the pod.
struct Places {
    kept: TempDir,
    disk: TempDir,
    temporary: TempDir,
    key: PathBuf,
}

impl Places {
    fn new() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let key = master_key(kept.path());
        Self { kept, disk: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap(), key }
    }

    fn spool(&self) -> PathBuf {
        let spool = self.kept.path().join("spool");
        std::fs::create_dir(&spool).unwrap();
        spool
    }
}

fn packs(spool: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(spool).unwrap().flatten().map(|entry| entry.path()).collect()
}

/// All of it is stored once, and one call was interrupted.
async fn are_stored(database: &Database, events: i64) {
    assert_eq!(database.events_of("mail.sent").await, events);
    assert_eq!(database.count("SELECT count(DISTINCT id) FROM audit_events").await, events + 2);
    assert_eq!(database.events_of("audit.interrupted").await + database.events_of("report.made").await, 2);
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE data::text LIKE '%ann@%'").await, 0);
    assert_eq!(database.count("SELECT count(*) FROM audit_quarantine").await, 0);
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_pod_that_never_reached_postgresql_leaves_a_file() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let places = Places::new();
    let spool = places.spool();
    let mut pod = Pod::start(&database, places.disk.path(), &places.key, "file", path(&spool));
    pod.record(500);
    // The node comes back after all.
    let back = tempfile::tempdir().unwrap();
    pod.journals().iter().for_each(|journal| copy(journal, back.path()));
    let disk = places.disk.path().to_owned();
    let (line, code) = pod.terminate();
    // The call under way has an intent, too.
    assert_eq!((line.as_str(), code), ("stored 0, left 0, packed 501", Some(75)));
    assert!(std::fs::read_dir(&disk).unwrap().flatten().all(|entry| !entry.path().is_dir()), "the file has it now");
    let files = packs(&spool);
    let [file] = &*files else { panic!("{files:?}") };
    assert_eq!(file.extension().unwrap(), "auditpack");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(file).unwrap();
    assert!(!bytes.windows(PERSONAL.len()).any(|part| part == PERSONAL), "a personal value is readable");

    cluster.up();
    database.reconnect();
    let (key, temporary) = (path(&places.key), places.temporary.path());
    let keyless = run(&database, temporary, &["journal", "ship", path(file)]);
    let why = String::from_utf8_lossy(&keyless.stderr).into_owned();
    assert!(
        keyless.status.code() == Some(2) && why.contains("encrypted; name the master key, by --master-key"),
        "{why}"
    );
    let other = master_key(temporary);
    let wrong = run(&database, places.kept.path(), &["journal", "ship", path(file), "--master-key", path(&other)]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("another master key"));
    std::fs::remove_file(other).unwrap();
    assert_eq!(database.events().await, 0);

    let ship = ["journal", "ship", path(file), "--master-key", key];
    let shipped = succeeds(&database, temporary, &ship);
    assert_eq!(shipped, "502 events of 1 journal shipped\n");
    are_stored(&database, 500).await;
    let again = succeeds(&database, temporary, &ship);
    assert_eq!(again, "nothing had to be shipped: 501 events of 1 journal are stored already\n");
    let returned = ["journal", "ship", path(back.path()), "--master-key", key];
    assert_eq!(succeeds(&database, temporary, &returned), again);
    are_stored(&database, 500).await;
}

#[tokio::test]
async fn a_pod_that_had_stored_a_part_hands_the_rest_to_a_command() {
    let mut cluster = Cluster::start(Config::default());
    let mut database = Database::migrated_in(&cluster).await;
    let places = Places::new();
    let spool = places.spool();
    // As a client of a bucket does: it takes the name, and says well when it has all.
    let command = format!("cat > '{}'/\"$AUDIT_PACK_NAME\"", spool.display());
    let mut pod = Pod::start(&database, places.disk.path(), &places.key, "command", &command);
    pod.record(300);
    eventually("the first ones are stored", async || database.events().await == 301).await;
    database.pool.close().await;
    cluster.down();
    pod.record(200);
    let back = tempfile::tempdir().unwrap();
    pod.journals().iter().for_each(|journal| copy(journal, back.path()));
    let (line, code) = pod.terminate();
    assert_eq!((line.as_str(), code), ("stored 301, left 0, packed 200", Some(75)));
    let files = packs(&spool);
    let [file] = &*files else { panic!("{files:?}") };

    cluster.up();
    database.reconnect();
    let (key, temporary) = (path(&places.key), places.temporary.path());
    // The directory that came back is first this time.
    succeeds(&database, temporary, &["journal", "ship", path(back.path()), "--master-key", key]);
    are_stored(&database, 500).await;
    for _ in 0..2 {
        succeeds(&database, temporary, &["journal", "ship", path(file), "--master-key", key]);
        are_stored(&database, 500).await;
    }
}

#[tokio::test]
async fn a_pod_that_restarts_packs_what_its_dead_containers_left() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let places = Places::new();
    let spool = places.spool();
    let start = || Pod::start(&database, places.disk.path(), &places.key, "file", path(&spool));
    for _ in 0..2 {
        let mut pod = start();
        pod.record(50);
        pod.kill();
    }
    let mut pod = start();
    pod.record(50);
    assert_eq!(pod.journals().len(), 3);
    assert_eq!(pod.terminate().1, Some(75));
    assert!(std::fs::read_dir(places.disk.path()).unwrap().flatten().all(|entry| !entry.path().is_dir()));
    let files = packs(&spool);
    assert_eq!(files.len(), 1, "{files:?}");
    cluster.up();
    database.reconnect();
    let ship = ["journal", "ship", path(&files[0]), "--master-key", path(&places.key)];
    // A process that is killed early has not recorded all of its own events.
    let shipped = succeeds(&database, places.temporary.path(), &ship);
    assert!(shipped.ends_with(" events of 3 journals shipped\n"), "{shipped}");
    assert_eq!(database.events_of("mail.sent").await, 150);
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_pod_that_reaches_postgresql_needs_no_last_resort_and_ends_well() {
    let database = Database::new().await;
    let places = Places::new();
    let spool = places.spool();
    let mut pod = Pod::start_with(&database, places.disk.path(), &places.key, 30, ["file", path(&spool)]);
    pod.record(100);
    let (line, code) = pod.terminate();
    assert!(line.ends_with("left 0, packed 0") && code == Some(0), "{line} {code:?}");
    assert_eq!(packs(&spool).len(), 0);
    are_stored(&database, 100).await;
}
