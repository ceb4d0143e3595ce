//! Journals of ended processes in one file.

use crate::journal::{Directory, Parent};
use crate::pack::{self, Destination, PackError, PackReport};
use crate::privacy::MasterKey;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Packs journals of ended processes into one file, and unpacks it.
///
/// `audit-trail journal pack` and `audit-trail journal ship FILE` use it.
/// [`LastResort`](crate::LastResort) makes the same files.
#[derive(Debug, Clone, Default)]
pub struct JournalPack {
    key: Option<MasterKey>,
    group: Option<u32>,
}

impl JournalPack {
    /// Returns one without a key, for journals of this process's user.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the key that encrypts the file. Journals with personal data need it.
    #[cfg(feature = "personal")]
    #[cfg_attr(docsrs, doc(cfg(feature = "personal")))]
    #[must_use]
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the id of the group that shares the journals' directory.
    #[must_use]
    pub fn group(mut self, group: u32) -> Self {
        self.group = Some(group);
        self
    }

    /// Packs a journal into a new file, and removes the journal.
    ///
    /// `directory` is that of the journal, or one in which journals wait: then all of them are
    /// packed whose processes have ended. Once this returns, the file is on the disk, and it alone
    /// has the events.
    ///
    /// # Errors
    /// A process holds the journal, it contains personal data and no key is set, or the file exists
    /// or cannot be written. Then the journals are as they were.
    pub fn pack(&self, directory: impl AsRef<Path>, file: impl AsRef<Path>) -> Result<PackReport, PackError> {
        let journals = self.locked(directory.as_ref())?;
        let to = Destination::Path(file.as_ref().to_owned());
        let name = format!("{}.{}", journals[0].id(), pack::ENDING);
        let (report, _) = to.store(&name, None, |out| pack::pack(&journals, self.key.as_ref(), out))?;
        for journal in &journals {
            let kept = |source| PackError::NotRemoved { path: journal.path().to_owned(), source };
            journal.remove().map_err(kept)?;
        }
        Ok(report)
    }

    /// Unpacks the journals of a file into a new directory, where they wait to be shipped.
    ///
    /// Nothing is unpacked of a file that is not whole.
    ///
    /// # Errors
    /// The file is not whole, is no such file, or another key encrypts it, or the directory exists.
    pub fn unpack(&self, file: impl AsRef<Path>, into: impl AsRef<Path>) -> Result<PackReport, PackError> {
        pack::unpack(file.as_ref(), into.as_ref(), self.key.as_ref())
    }

    /// Locks the journal, or all of a directory that wait: at least one.
    fn locked(&self, directory: &Path) -> Result<Vec<Directory>, PackError> {
        let name = directory.file_name().and_then(|name| name.to_str());
        let is_journal = name.is_some_and(|name| Uuid::try_parse(name).is_ok());
        let above = directory.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent = Parent { group: self.group, ..Parent::own(if is_journal { above } else { directory }) };
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| PackError::Io { path, source }
        };
        if is_journal {
            parent.check().map_err(failed(above))?;
            std::fs::symlink_metadata(directory).map_err(failed(directory))?;
            let locked = Directory::adopt(&parent, directory).map_err(failed(directory))?;
            return Ok(vec![locked.ok_or_else(|| PackError::InUse(directory.to_owned()))?]);
        }
        let waiting: Vec<PathBuf> = Directory::waiting(&parent, Uuid::nil()).map_err(failed(directory))?;
        let adopt = |path: &PathBuf| Directory::adopt(&parent, path).map_err(failed(path)).transpose();
        let locked = waiting.iter().filter_map(adopt).collect::<Result<Vec<_>, _>>()?;
        if locked.is_empty() { Err(PackError::Nothing(directory.to_owned())) } else { Ok(locked) }
    }
}
