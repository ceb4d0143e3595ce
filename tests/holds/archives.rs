//! Archives: files that only their owner reads, that replace nothing, and without which nothing goes.

use crate::scene::{Scene, last_month, middle, viewed};
use audit_runtime::admin::{Prune, PruneError, PruneFilter};
use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tests::eventually;
use tests::small_disk::SmallDisk;

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn each_month_has_an_archive_of_its_own_which_replaces_no_other() {
    let scene = Scene::new().await;
    let directory = tempfile::tempdir().unwrap();
    let pattern = directory.path().join("viewed-%Y-%m.ndjson").display().to_string();
    let prune = |filter| Prune::new(middle()).only(filter).archive_by_month(&pattern);
    let first = scene.prune(&prune(viewed().tenant("acme"))).await;
    let names = files(directory.path());
    assert_eq!(names.len() as u64, first.months);
    let second = scene.prune(&prune(PruneFilter::new().event("order.*"))).await;
    let all = files(directory.path());
    assert_eq!(all.len() as u64, first.months + second.months);
    let numbered = |path: &&PathBuf| path.file_stem().unwrap().to_str().unwrap().ends_with("-2");
    assert_eq!(all.iter().filter(numbered).count() as u64, second.months);
    let mut lines = 0;
    for file in &all {
        assert_eq!(mode(file), 0o600, "{file:?}");
        let text = std::fs::read_to_string(file).unwrap();
        lines += text.lines().count() as u64;
        // Rows of the month that its name states.
        let name = file.file_name().unwrap().to_str().unwrap();
        let month = &name["viewed-".len()..][..7];
        let of_month = |line: &str| line.contains(&format!("\"created_at\":\"{month}-"));
        assert!(text.lines().all(of_month), "{name}");
    }
    assert_eq!(lines, first.rows + second.rows);
    let of_events: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT data #>> '{archive,file}' FROM audit_events WHERE event_type = 'audit.pruned'",
    )
    .fetch_all(&scene.database.pool)
    .await
    .unwrap();
    let of_files: BTreeSet<String> =
        all.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(of_events.into_iter().collect::<BTreeSet<_>>(), of_files);
    let pattern = Prune::new(middle()).only(viewed()).archive_by_month("/archive/%d");
    let error = scene.database.admin().prune(&pattern, |_| {}).await.unwrap_err();
    assert!(matches!(error, PruneError::Pattern(_)), "{error}");
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_archive_is_private_and_no_link_is_followed() {
    let scene = Scene::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old.ndjson");
    // A link to a file that the pruner could write, and one that leads nowhere.
    let victim = directory.path().join("victim");
    std::fs::write(&victim, "kept").unwrap();
    let before = scene.count("true").await;
    for target in [victim.clone(), directory.path().join("nowhere")] {
        symlink(&target, &path).unwrap();
        for prune in [Prune::new(last_month()), Prune::new(middle()).only(viewed().tenant("acme"))] {
            let refused = scene.database.admin().prune(&prune.archive(&path), |_| {}).await.unwrap_err();
            assert!(matches!(refused, PruneError::Archive { .. }), "{refused}");
        }
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!((std::fs::read_to_string(&victim).unwrap().as_str(), scene.count("true").await), ("kept", before));
    assert_eq!(files(directory.path()), std::slice::from_ref(&victim));
    // The part is seen while the database is slow: another session locks what is exported.
    let mut lock = scene.database.pool.begin().await.unwrap();
    let prune = Prune::new(middle()).only(viewed().tenant("acme")).archive(&path);
    let admin = scene.database.admin();
    let pruning = admin.prune(&prune, |step| {
        if step.to_string().contains("verifying") {
            let locking = sqlx::query("LOCK TABLE audit_holds IN ROW EXCLUSIVE MODE").execute(&mut *lock);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(locking)).unwrap();
        }
    });
    let watching = async {
        eventually("the archive is there", async || path.exists()).await;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(scene.count("true").await, before, "nothing goes before the archive is whole");
    };
    tokio::select! {
        done = pruning => panic!("{done:?}"),
        () = watching => {}
    }
    lock.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_removes_nothing() {
    let Some(disk) = SmallDisk::mount(64 << 10) else { return };
    let scene = Scene::new().await;
    let before = scene.count("true").await;
    let path = disk.path().join("old.ndjson");
    let pattern = disk.path().join("%Y-%m.ndjson").display().to_string();
    for prune in [
        Prune::new(last_month()).archive(&path),
        Prune::new(last_month()).only(PruneFilter::new().event("order.*")).archive(&path),
        Prune::new(last_month()).only(PruneFilter::new().event("order.*")).archive_by_month(pattern),
    ] {
        let refused = scene.database.admin().prune(&prune, |_| {}).await.unwrap_err();
        let PruneError::Archive { error, .. } = &refused else { panic!("{refused}") };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{refused}");
        assert_eq!(scene.count("true").await, before);
        // Neither a part is left nor an archive that could be taken for a whole one.
        assert!(
            files(disk.path()).iter().all(|file| file.extension().is_some_and(|end| end == "ndjson") && *file != path)
        );
    }
    assert_eq!(scene.database.events_of("audit.pruned").await, 0);
    scene.is_unharmed().await;
}
