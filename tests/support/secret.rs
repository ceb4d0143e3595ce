//! Files of keys.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a key to a new file that its owner alone may read, and returns its path.
///
/// # Panics
/// The file exists, or cannot be made.
pub fn secret_file(directory: &Path, name: &str, key: &str) -> String {
    let path = directory.join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    writeln!(file, "{key}").unwrap();
    path.to_str().unwrap().to_owned()
}
