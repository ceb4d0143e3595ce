//! Texts of keys: from a private file, the environment, or a command.
//!
//! They are overwritten when they are dropped, and so is the memory that they were read into.

mod bytes;
mod command;

use super::platform;
use bytes::{read, text};
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// A command that prints a key may take so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Read and write rights of the group, and all rights of others.
const OF_GROUP: u32 = 0o070;
const OF_OTHERS: u32 = 0o007;
const READ_BY_GROUP: u32 = 0o040;
const ROOT: u32 = 0;

/// The reason the text of a key could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySourceError {
    /// The file cannot be read.
    #[error("the key cannot be read from {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        error: io::Error,
    },
    /// Other users may read or replace the file.
    #[error(
        "{path} has mode {mode:04o}, so other users may read or change the key in it; run chmod 600 {path}, and exchange a key that \
         others may have read"
    )]
    Shared {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// The variable is not set.
    #[error("the key is not in the environment: {0} is not set")]
    Variable(String),
    /// The command failed, or did not end in time.
    #[error("the command that prints the key failed: {command}: {why}")]
    Command {
        /// The command.
        command: String,
        /// The reason, with what the command printed to its standard error.
        why: String,
    },
}

/// Reads the text of a key from a file of this process's user alone.
///
/// As for PostgreSQL's own keys, a file of root may be readable by its group: a volume of Kubernetes
/// with `fsGroup` has such files.
///
/// # Errors
/// The file cannot be read, or other users may read or change it.
pub fn from_file(path: &Path) -> Result<Zeroizing<String>, KeySourceError> {
    let failed = |error| KeySourceError::File { path: path.display().to_string(), error };
    let file = File::open(path).map_err(failed)?;
    // Of the file that is open: a link in its place may lead elsewhere meanwhile.
    if let Some(mode) = shared(&file.metadata().map_err(failed)?) {
        return Err(KeySourceError::Shared { path: path.display().to_string(), mode });
    }
    let bytes = read(file).map_err(failed)?;
    text(bytes)
        .ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidData, "it is not text, or too long for a key")))
}

/// Reads the text of a key from an environment variable.
///
/// # Errors
/// The variable is not set.
pub(crate) fn from_env(name: &str) -> Result<Zeroizing<String>, KeySourceError> {
    std::env::var(name).map(Zeroizing::new).map_err(|_| KeySourceError::Variable(name.to_owned()))
}

/// Reads the text of a key that a shell command prints.
///
/// It blocks until the command has ended, or has been killed after 30 seconds.
///
/// # Errors
/// The command fails, takes too long, or prints something else than a text.
pub fn from_command(command: &str) -> Result<Zeroizing<String>, KeySourceError> {
    let failed = |why| KeySourceError::Command { command: command.to_owned(), why };
    let printed = command::output(command, PATIENCE).map_err(failed)?;
    text(printed).ok_or_else(|| failed("it printed something that is not text, or too long for a key".into()))
}

/// Returns the mode of a file that other users may read or change.
fn shared(metadata: &Metadata) -> Option<u32> {
    let owner = platform::ownership(metadata).filter(|_| metadata.is_file())?;
    let allowed = if owner.user == ROOT && owner.process != ROOT { READ_BY_GROUP } else { 0 };
    (owner.mode & (OF_GROUP | OF_OTHERS) & !allowed != 0).then_some(owner.mode & 0o777)
}

#[cfg(all(test, unix))]
mod tests {
    use super::bytes::MOST;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_others_may_read_or_change_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "a key\n").unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o660, 0o777] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = from_file(&path).unwrap_err().to_string();
            let remedy = format!("chmod 600 {}", path.display());
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains(&remedy), "{error}");
        }
        for mode in [0o600, 0o400, 0o700] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(from_file(&path).unwrap().as_str(), "a key\n");
        }
        // The target counts, not the link.
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(from_file(&link).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(from_file(&link).is_err());
    }

    #[test]
    fn what_is_too_long_or_not_text_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in [("long", vec![b'a'; MOST + 1]), ("bytes", vec![0xff; 8])] {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(from_file(&path).unwrap_err().to_string().contains("not text, or too long"));
        }
    }

    #[test]
    fn a_command_prints_the_key_or_its_failure_is_shown() {
        assert_eq!(from_command("echo a key").unwrap().as_str(), "a key\n");
        let error = from_command("echo permission denied >&2; exit 3").unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("permission denied"), "{error}");
        // A part of a key is refused.
        assert!(from_command("echo a key; exit 1").is_err());
        assert!(from_command("head -c 100000 /dev/zero").unwrap_err().to_string().contains("too long"));
    }
}
