//! The files of a dead process's journal, for those who take them as they are.

use super::directory::{Directory, LOCK, segments_in};
use super::format::{HEADER, HeaderError, SegmentHeader};
use super::parent_directory::open_file;
use super::scan::read_up_to;
use std::fs::File;
use std::io;
use std::path::Path;

/// A file of a journal.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) file: File,
}

impl Directory {
    /// Opens all files but the lock, in order of their names.
    ///
    /// # Errors
    /// A file cannot be opened, or an entry is no file: a link is not followed.
    pub(crate) fn contents(&self) -> io::Result<Vec<Content>> {
        let mut contents = Vec::new();
        for entry in std::fs::read_dir(self.path())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if name == LOCK {
                continue;
            }
            if !is_name(&name) {
                return Err(io::Error::other(format!("{} belongs to no journal: move it away", path.display())));
            }
            let file = open_file(&path)?;
            contents.push(Content { name, bytes: file.metadata()?.len(), file });
        }
        contents.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(contents)
    }

    /// Returns whether a segment is of a version that this program does not read.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub(crate) fn is_newer(&self) -> io::Result<bool> {
        for (_, path) in segments_in(self.path())? {
            let mut header = [0; HEADER];
            let read = read_up_to(open_file(&path)?, &mut header)?;
            if let Err(HeaderError::NewerMajor(_) | HeaderError::NewerPayload(_)) =
                SegmentHeader::decode(&header[..read])
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns whether a file of a journal may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    name != LOCK && !name.starts_with('.') && !name.is_empty() && name.bytes().all(is_plain)
}

/// Makes the lock of a journal that is put into a directory, so that it waits there.
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_lock(directory: &Path) -> io::Result<()> {
    crate::sys::private_file::create(&directory.join(LOCK)).map(drop)
}
