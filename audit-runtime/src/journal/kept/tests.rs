//! Kept batches on the disk, without a writer.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::{Keeper, Listed, list};
use crate::journal::parent_directory::Parent;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3_600);

fn keeper(directory: &Path, limit: u64) -> Keeper {
    Keeper::new(Parent::own(directory), HOUR, limit)
}

fn read(directory: &Path) -> (Vec<(u64, Vec<u8>)>, Vec<String>) {
    let Listed { batches, damaged } = list(&Parent::own(directory)).unwrap();
    (batches.iter().map(|kept| (kept.first, kept.read().unwrap().unwrap())).collect(), damaged)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory.join("kept")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn batches_read_back_and_one_that_is_sent_again_is_kept_once() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(directory.path(), 1 << 20);
    for first in [0, 10, 0, 20] {
        keeper.keep(7, Uuid::max(), first, format!("batch {first}").as_bytes());
    }
    let batch = |first| (first, format!("batch {first}").into_bytes());
    assert_eq!(read(directory.path()), (vec![batch(0), batch(10), batch(20)], vec![]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory.path().join("kept")), mode(&files(directory.path())[0])), (0o700, 0o600));
    }
}

#[test]
fn a_torn_entry_is_none_and_a_damaged_one_is_named_and_hides_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(directory.path(), 1 << 20);
    keeper.keep(7, Uuid::max(), 0, b"first");
    let path = files(directory.path())[0].clone();
    let one = fs::read(&path).unwrap().len();
    keeper.keep(7, Uuid::max(), 10, b"second");
    let whole = fs::read(&path).unwrap();
    for length in one..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(read(directory.path()), (vec![(0, b"first".to_vec())], vec![]), "{length}");
    }
    let mut damaged = whole;
    damaged[one - 1] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let (batches, told) = read(directory.path());
    assert_eq!(batches, [(10, b"second".to_vec())]);
    assert!(told.len() == 1 && told[0].contains("the entry at 32 was damaged"), "{told:?}");
}

#[test]
fn files_go_when_their_time_is_over_or_the_limit_is_reached_the_oldest_first() {
    let directory = tempfile::tempdir().unwrap();
    for first in 0..4 {
        keeper(directory.path(), 1 << 20).keep(7, Uuid::max(), first, &[1; 1_000]);
    }
    let all = files(directory.path());
    let old = fs::File::options().append(true).open(&all[2]).unwrap();
    old.set_modified(SystemTime::now() - 2 * HOUR).unwrap();
    keeper(directory.path(), 1 << 20).tidy();
    assert_eq!(files(directory.path()), [&all[0], &all[1], &all[3]].map(Clone::clone));
    keeper(directory.path(), 2_500).tidy();
    assert_eq!(files(directory.path()), [&all[1], &all[3]].map(Clone::clone));
}

#[test]
fn a_directory_that_takes_no_file_costs_the_copy_and_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("kept"), "a file").unwrap();
    let keeper = keeper(directory.path(), 1 << 20);
    keeper.keep(7, Uuid::max(), 0, b"batch");
    keeper.tidy();
    fs::remove_file(directory.path().join("kept")).unwrap();
    keeper.keep(7, Uuid::max(), 10, b"batch");
    assert_eq!(read(directory.path()).0.len(), 1);
}
