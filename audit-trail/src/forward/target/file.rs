//! A file, which is rotated by its size, or by another program.
//!
//! Events are taken once they are on the disk. A line that a killed process left half is cut off: its
//! event was not taken, and comes again.

use super::{SendError, TargetOptions};
use crate::forward::form::Form;
use crate::forward::message::Message;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes that are read backwards at once, to find the last end of a line.
const BACKWARDS: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct FileTarget {
    path: PathBuf,
    rotate: Option<u64>,
    keep: Option<usize>,
    file: Option<File>,
}

impl FileTarget {
    pub(super) fn new(path: PathBuf, options: &TargetOptions) -> Self {
        Self { path, rotate: options.rotate, keep: options.keep, file: None }
    }

    pub(super) fn send(&mut self, form: Form, messages: &[Message]) -> Result<(), SendError> {
        let sent = self.append(form, messages);
        if sent.is_err() {
            // It is opened anew, and a half line is cut off.
            self.file = None;
        }
        sent.map_err(|error| SendError::away(format!("{}: {error}", self.path.display())))
    }

    fn append(&mut self, form: Form, messages: &[Message]) -> io::Result<()> {
        if self.file.as_ref().is_some_and(|file| !is_still_there(file, &self.path)) {
            self.file = None;
        }
        for message in messages {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => open(&self.path)?,
            };
            let length = file.metadata()?.len();
            if length > 0 && self.rotate.is_some_and(|most| length + message.text.len() as u64 > most) {
                file.sync_data()?;
                self.rotate_file()?;
                file = open(&self.path)?;
            }
            if file.metadata()?.len() == 0
                && let Some(header) = form.header()
            {
                writeln!(file, "{header}")?;
            }
            file.write_all(format!("{}\n", message.text).as_bytes())?;
            self.file = Some(file);
        }
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }

    /// Gives the file another name, with the time, and removes the oldest ones beyond those that are kept.
    fn rotate_file(&self) -> io::Result<()> {
        let now = audit_runtime::Timestamp::now().to_string().replace([':', '+'], "-");
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Unlike a rename, a link never replaces a file that another process made.
        fs::hard_link(&self.path, self.path.with_file_name(format!("{name}.{now}")))?;
        fs::remove_file(&self.path)?;
        let Some(keep) = self.keep else { return Ok(()) };
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let rotated = |entry: &fs::DirEntry| {
            let found = entry.file_name();
            let stamp = found.to_str()?.strip_prefix(&name)?.strip_prefix('.')?.to_owned();
            // A time as above, and no other file that begins alike.
            (stamp.len() == now.len() && stamp.as_bytes().get(10) == Some(&b'T')).then(|| entry.path())
        };
        let mut rotated: Vec<PathBuf> =
            fs::read_dir(directory)?.flatten().filter_map(|entry| rotated(&entry)).collect();
        rotated.sort();
        let many = rotated.len().saturating_sub(keep);
        rotated.drain(..many).try_for_each(fs::remove_file)
    }
}

/// Opens a file to append, without a half line at its end, for this process alone.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => {
            io::Error::other("another process writes to it; give each feed a file of its own")
        }
        fs::TryLockError::Error(error) => error,
    })?;
    if file.metadata()?.is_file() {
        let whole = whole_lines(&mut file)?;
        if whole < file.metadata()?.len() {
            file.set_len(whole)?;
        }
    }
    Ok(file)
}

/// The bytes up to the last end of a line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut buffer = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(BACKWARDS);
        buffer.resize(usize::try_from(end - begin).unwrap_or(0), 0);
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut buffer)?;
        if let Some(at) = buffer.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Whether the path still leads to the open file: another program may have rotated it.
#[cfg(unix)]
fn is_still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still_there(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_line_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let long = "x".repeat(200_000);
        for (before, after) in
            [("", ""), ("a\n", "a\n"), ("a\nhalf", "a\n"), ("half", ""), (&format!("a\n{long}"), "a\n")]
        {
            fs::write(&path, before).unwrap();
            drop(open(&path).unwrap());
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn a_file_of_another_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let _first = open(&path).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("a file of its own"));
    }
}
