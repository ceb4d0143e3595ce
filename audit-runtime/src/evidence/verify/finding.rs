//! The findings of a verification.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The kind of a problem, or of a fact worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A row differs from its seal.
    Altered,
    /// A row that was sealed is gone.
    Missing,
    /// A row claims a batch that was sealed without it.
    Inserted,
    /// A batch's rows are not in the order they were sealed in.
    Reordered,
    /// A batch's own row differs from its seal.
    BatchAltered,
    /// A batch is gone.
    BatchMissing,
    /// A batch claims to be older than a checkpoint that does not cover it.
    BatchInserted,
    /// A batch does not follow on the one before it in its journal.
    ChainBroken,
    /// The tree of all batches differs from a checkpoint.
    Checkpoint,
    /// The log went back behind a checkpoint that was saved, and goes on under another name, which
    /// states that checkpoint.
    Restored,
    /// A checkpoint hands the log over to another key, which signs it, too.
    Rotated,
    /// A time stamp states that a checkpoint existed at an instant.
    Existed,
    /// A time stamp is not one of its checkpoint, or does not verify.
    TimeStamp,
    /// A checkpoint is not signed as it has to be.
    Signature,
    /// A row or a batch without a seal.
    NotSealed,
    /// Rows that were pruned, according to an event.
    Pruned,
    /// An account of rows that were pruned which no event confirms.
    NotPruned,
    /// Pruned rows that came back from an archive, according to an event.
    Reimported,
    /// A legal hold differs from the events that report it.
    HoldChanged,
    /// A file of a lake is not the one that its manifest names.
    FileAltered,
    /// A file that a lake's manifest names is gone.
    FileMissing,
    /// A file is in a lake whose manifest does not name it.
    FileAdded,
    /// The manifest of a lake is not signed as it has to be, or contradicts the checkpoints.
    Manifest,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::BatchAltered => "batch altered",
            Self::BatchMissing => "batch missing",
            Self::BatchInserted => "batch inserted",
            Self::ChainBroken => "chain broken",
            Self::Checkpoint => "checkpoint",
            Self::Restored => "restored",
            Self::Rotated => "key exchanged",
            Self::Existed => "existed",
            Self::TimeStamp => "time stamp",
            Self::Signature => "signature",
            Self::NotSealed => "not sealed",
            Self::Pruned => "pruned",
            Self::NotPruned => "not pruned",
            Self::Reimported => "reimported",
            Self::HoldChanged => "hold changed",
            Self::FileAltered => "file altered",
            Self::FileMissing => "file missing",
            Self::FileAdded => "file added",
            Self::Manifest => "manifest",
        })
    }
}

/// A result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of the finding.
    pub kind: FindingKind,
    /// The row it is about.
    pub event: Option<Uuid>,
    /// The batch it is about.
    pub batch: Option<Uuid>,
    /// The file of a lake it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The finding in words.
    pub text: String,
}

impl Finding {
    /// Makes a finding of the command's own, about a lake.
    #[doc(hidden)]
    #[must_use]
    pub fn new(kind: FindingKind, batch: Option<Uuid>, event: Option<Uuid>, text: String) -> Self {
        Self { kind, event, batch, file: None, text }
    }

    /// Names the file of a lake.
    #[doc(hidden)]
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    pub(super) fn event(kind: FindingKind, batch: Option<Uuid>, event: Uuid, text: String) -> Self {
        Self::new(kind, batch, Some(event), text)
    }

    pub(super) fn batch(kind: FindingKind, batch: Uuid, text: String) -> Self {
        Self::new(kind, Some(batch), None, text)
    }

    /// Returns whether the trail differs from the events that were recorded.
    ///
    /// A row by another writer that awaits its checkpoint is only information, and so are pruned rows and
    /// those that came back, a restore or an exchanged key that a signed checkpoint states, and a time stamp that
    /// verifies.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        match self.kind {
            FindingKind::NotSealed => self.batch.is_some(),
            FindingKind::Pruned
            | FindingKind::Reimported
            | FindingKind::Restored
            | FindingKind::Rotated
            | FindingKind::Existed => false,
            _ => true,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind)?;
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        if let Some(event) = self.event {
            write!(f, "event {event}: ")?;
        }
        if let Some(batch) = self.batch {
            write!(f, "batch {batch}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// The counts of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The number of findings that are problems.
    pub problems: u64,
    /// Rows that equal their seals.
    pub rows: u64,
    /// Rows that came without a batch and were sealed afterwards.
    pub sealed_late: u64,
    /// Events that PostgreSQL refused, and that are still in the quarantine as they were.
    pub quarantined: u64,
    /// Rows that were pruned, according to events.
    pub pruned: u64,
    /// Rows that no batch has sealed yet.
    pub not_sealed: u64,
    /// Batches in the tree.
    pub batches: u64,
    /// Batches that are younger than the last checkpoint: nothing yet proves that none is missing
    /// behind them.
    pub batches_since_checkpoint: u64,
    /// Checkpoints whose tree was found again.
    pub checkpoints: u64,
    /// Checkpoints whose signatures were verified.
    pub signatures: u64,
    /// Time stamps of checkpoints that verify.
    #[serde(default)]
    pub time_stamps: u64,
}

impl Report {
    /// Counts a finding.
    #[doc(hidden)]
    pub fn count(&mut self, finding: &Finding) {
        self.problems += u64::from(finding.is_problem());
    }
}
