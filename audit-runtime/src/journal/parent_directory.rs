//! The directory under which journals lie, and whose it and they have to be.
//!
//! | | directories | files |
//! | --- | --- | --- |
//! | of one user | 0700, owned by that user | 0600 |
//! | of a group's users | exactly 2770, of that group | exactly 0660 |
//!
//! Another user's journals are neither read nor removed: their events would be stored as this
//! trail's. On Windows, directories and files inherit the access list of the directory above, and
//! nothing is checked: name one below the user's own.

use crate::sys::platform::{self, Ownership};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

const OTHERS_WRITE: u32 = 0o002;
const GROUP_DIRECTORY: u32 = 0o2770;
const GROUP_FILE: u32 = 0o660;

/// Where journals lie, and with whom they are shared.
#[derive(Debug, Clone)]
pub(crate) struct Parent {
    pub(crate) path: PathBuf,
    /// The group whose members share it.
    pub(crate) group: Option<u32>,
    /// The most bytes that all journals may take.
    pub(crate) limit_bytes: u64,
}

impl Parent {
    /// One of this process's user alone, without a limit.
    pub(crate) fn own(path: &Path) -> Self {
        Self { path: path.to_owned(), group: None, limit_bytes: u64::MAX }
    }

    /// Makes it unless it is there, and checks whose it is.
    pub(super) fn make(&self) -> io::Result<()> {
        if !self.path.exists() {
            platform::private_directory().recursive(true).create(&self.path)?;
            if let Some(group) = self.group {
                platform::set_group(&self.path, group)?;
            }
            self.share(&self.path, GROUP_DIRECTORY)?;
        }
        self.check()
    }

    /// Checks that it is this user's, or this group's.
    pub(crate) fn check(&self) -> io::Result<()> {
        let Some(ownership) = platform::ownership(&std::fs::metadata(&self.path)?) else { return Ok(()) };
        let Ownership { process: own, user: owner, group: owning, mode } = ownership;
        let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        match self.group {
            None if owner != own => refused(format!(
                "it belongs to user {owner}, and this process runs as user {own}; run it as user {owner}, or share the directory with a group"
            )),
            None if mode & OTHERS_WRITE != 0 => {
                refused(format!("everybody may write to it (mode {mode:o}); run chmod o-w on it"))
            }
            Some(group) if owning != group || mode != GROUP_DIRECTORY => refused(format!(
                "to share it with group {group} takes that group and the mode 2770, and it has group {owning} and mode {mode:o}; \
                 run chgrp {group} and then chmod 2770 on it"
            )),
            _ => Ok(()),
        }
    }

    /// Checks that an entry, or a file in it, is this user's, or this group's.
    pub(super) fn admit(&self, path: &Path, metadata: &Metadata) -> io::Result<()> {
        let Some(ownership) = platform::ownership(metadata) else { return Ok(()) };
        let Ownership { process: own, user: owner, .. } = ownership;
        let mode = if metadata.is_dir() { GROUP_DIRECTORY } else { GROUP_FILE };
        let is_shared = |group| ownership.group == group && ownership.mode == mode;
        if owner == own || self.group.is_some_and(is_shared) {
            return Ok(());
        }
        let path = path.display();
        let why = format!("{path} belongs to user {owner}, and this process runs as user {own}");
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    /// Makes a directory for a journal.
    pub(super) fn make_directory(&self, path: &Path) -> io::Result<()> {
        platform::private_directory().create(path)?;
        self.share(path, GROUP_DIRECTORY)
    }

    /// Lets the group have a file that was made.
    pub(crate) fn share_file(&self, path: &Path) -> io::Result<()> {
        self.share(path, GROUP_FILE)
    }

    /// A file made in a directory of mode 2770 has the directory's group already.
    fn share(&self, path: &Path, mode: u32) -> io::Result<()> {
        if self.group.is_some() { platform::set_mode(path, mode) } else { Ok(()) }
    }

    /// Opens a lock, or makes it.
    pub(super) fn open_lock(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        match platform::open_itself(platform::private(options.clone().create_new(true)), path) {
            Ok(lock) => self.share_file(path).map(|()| lock),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => platform::open_itself(&options, path),
            Err(error) => Err(error),
        }
    }
}

/// Opens a file that is one: no link, and no pipe that would be waited for.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let file = platform::open_itself(OpenOptions::new().read(true), path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not a regular file", path.display())))
}
