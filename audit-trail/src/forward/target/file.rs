//! A file, which is rotated by its size, or by another program.
//!
//! Events are taken once they are on the disk. A line that a killed process left half is cut off: its
//! event was not taken, and comes again. Where a disk is full, the lines of events that come again are
//! taken back.

use super::{SendError, TargetOptions};
use crate::forward::form::Form;
use crate::forward::message::Message;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Bytes that are read backwards at once, to find the last end of a line.
const BACKWARDS: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct FileTarget {
    path: PathBuf,
    rotate: Option<u64>,
    keep: Option<usize>,
    file: Option<File>,
    /// The first event of a portion, and how many of its events are in files that are full.
    full: Option<(Uuid, usize)>,
}

impl FileTarget {
    pub(super) fn new(path: PathBuf, options: &TargetOptions) -> Self {
        Self { path, rotate: options.rotate, keep: options.keep, file: None, full: None }
    }

    pub(super) fn send(&mut self, form: Form, messages: &[Message]) -> Result<(), SendError> {
        self.append(form, messages).map_err(|error| SendError::away(format!("{}: {error}", self.path.display())))
    }

    fn append(&mut self, form: Form, messages: &[Message]) -> io::Result<()> {
        let Some(id) = messages.first().map(|message| message.event().id) else { return Ok(()) };
        if self.file.as_ref().is_some_and(|file| !is_still_there(file, &self.path)) {
            self.file = None;
        }
        let mut done = self.full.filter(|(first, _)| *first == id).map_or(0, |(_, done)| done);
        while done < messages.len() {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => open(&self.path)?,
            };
            let before = file.metadata()?.len();
            let written = fill(&mut file, form, &messages[done..], self.rotate).and_then(|written| {
                file.sync_data()?;
                Ok(written)
            });
            match written {
                Ok(written) => done += written,
                Err(error) => {
                    // A file that somebody else has cut in the meantime does not grow.
                    if file.metadata().is_ok_and(|now| now.is_file() && now.len() > before) {
                        let _ = file.set_len(before);
                    }
                    // It is opened anew, and a half line is cut off.
                    return Err(error);
                }
            }
            if done < messages.len() {
                self.full = Some((id, done));
                self.rotate_file()?;
            } else {
                self.file = Some(file);
            }
        }
        self.full = None;
        Ok(())
    }

    /// Gives the file another name, with the time, and removes the oldest ones beyond those that are kept.
    fn rotate_file(&self) -> io::Result<()> {
        let now = audit_runtime::Timestamp::now().to_string().replace([':', '+'], "-");
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        rename(&self.path, &self.path.with_file_name(format!("{name}.{now}")), |from, to| fs::hard_link(from, to))?;
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

/// Writes events to a file until it has its size, and returns how many. A file that is empty takes at least
/// one.
fn fill(file: &mut File, form: Form, messages: &[Message], most: Option<u64>) -> io::Result<usize> {
    for (place, message) in messages.iter().enumerate() {
        let length = file.metadata()?.len();
        if length > 0 && most.is_some_and(|most| length + message.text.len() as u64 > most) {
            return Ok(place);
        }
        if length == 0
            && let Some(header) = form.header()
        {
            writeln!(file, "{header}")?;
        }
        file.write_all(format!("{}\n", message.text).as_bytes())?;
    }
    Ok(messages.len())
}

/// Gives a file another name, which no other file has. Unlike a rename, a link never replaces a file that
/// another process made, but some file systems have no links.
fn rename(from: &Path, to: &Path, link: impl Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    match link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => match fs::symlink_metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
        },
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
    fn a_file_system_without_links_has_its_files_renamed_and_none_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let refuse = |_: &Path, _: &Path| Err(io::ErrorKind::PermissionDenied.into());
        fs::write(at("events"), "a\n").unwrap();
        rename(&at("events"), &at("first"), refuse).unwrap();
        assert!(!at("events").exists());
        fs::write(at("events"), "b\n").unwrap();
        let error = rename(&at("events"), &at("first"), refuse).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let error = rename(&at("events"), &at("first"), |from, to| fs::hard_link(from, to)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        rename(&at("events"), &at("second"), |from, to| fs::hard_link(from, to)).unwrap();
        for (name, text) in [("first", "a\n"), ("second", "b\n")] {
            assert_eq!(fs::read_to_string(at(name)).unwrap(), text);
        }
        assert!(!at("events").exists());
    }

    #[test]
    fn a_file_of_another_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let _first = open(&path).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("a file of its own"));
    }
}
