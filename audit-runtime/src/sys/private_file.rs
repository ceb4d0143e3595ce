//! Files that only their owner reads: archives, keys, copies of checkpoints.

use super::platform;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Creates a new file that its owner alone may read and write.
///
/// On Windows, it inherits the access list of its directory. It follows no link, and opens no
/// existing file.
///
/// # Errors
/// Something of that name is there already, a link included, or the file cannot be made.
pub fn create(path: &Path) -> io::Result<File> {
    // `create_new` refuses a link too.
    platform::private(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// Returns a name beside a file, for its content until that is complete.
///
/// The name cannot be guessed, so nobody can create the file first.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.{ending}", uuid::Uuid::new_v4().simple()));
    beside.into()
}
