//! `audit-trail journal pack`: journals that are to leave their machine.

use crate::failure::Failure;
use crate::say;
use crate::text::count;
use audit_runtime::MasterKey;
use audit_runtime::admin::{JournalPack, PackError};
use clap::Args;
use std::io;
use std::path::PathBuf;

/// Packs the journals of ended processes into one file, removes them, and leaves journals in use.
/// With a master key, the file is encrypted; journals with personal data need one.
#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// The journal, or the journal directory of the services
    directory: PathBuf,
    /// The new file
    file: PathBuf,
    /// The id of the group that shares the directory, if services of several users do
    #[arg(long, value_name = "ID")]
    group: Option<u32>,
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        match &error {
            PackError::Nothing(_) => Self::Nothing(error.to_string()),
            PackError::Personal(_) | PackError::NewerJournal(_) | PackError::Encrypted(_) | PackError::OtherKey(_) => {
                Self::Usage(format!("{error}, by --master-key"))
            }
            PackError::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) =>
            {
                Self::Usage(error.to_string())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Returns what packs and unpacks with this key.
pub(crate) fn packer(master_key: Option<MasterKey>) -> JournalPack {
    master_key.into_iter().fold(JournalPack::new(), JournalPack::master_key)
}

impl Pack {
    pub(crate) fn run(&self, master_key: Option<MasterKey>) -> Result<(), Failure> {
        let packer = self.group.into_iter().fold(packer(master_key), JournalPack::group);
        let packed = packer.pack(&self.directory, &self.file)?;
        let (file, journals) = (self.file.display(), count(packed.journals.len() as u64, "journal", "journals"));
        say::line(format!(
            "{} of {journals} packed; {file} alone has them now: audit-trail journal ship {file} stores them",
            count(packed.events(), "event", "events")
        ))
    }
}
