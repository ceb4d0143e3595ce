//! What a verification finds.

use serde::Serialize;
use std::fmt;
use uuid::Uuid;

/// What is wrong, or worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A row is not what it was.
    Altered,
    /// A row that was sealed is gone.
    Missing,
    /// A row claims a batch that does not know it.
    Inserted,
    /// A batch's rows are not in the order they were sealed in.
    Reordered,
    /// A batch's own row is not what it was.
    BatchAltered,
    /// A batch is gone.
    BatchMissing,
    /// A batch claims to be older than a checkpoint that does not cover it.
    BatchInserted,
    /// A batch does not follow on the one before it in its journal.
    ChainBroken,
    /// The tree of all batches is not what a checkpoint says it was.
    Checkpoint,
    /// A checkpoint is not signed as it has to be.
    Signature,
    /// A row or a batch that nothing has sealed.
    NotSealed,
    /// Rows that were pruned, as an event says.
    Pruned,
    /// An account of rows that were pruned which no event confirms.
    NotPruned,
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
            Self::Signature => "signature",
            Self::NotSealed => "not sealed",
            Self::Pruned => "pruned",
            Self::NotPruned => "not pruned",
        })
    }
}

/// Something a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The row it is about.
    pub event: Option<Uuid>,
    /// The batch it is about.
    pub batch: Option<Uuid>,
    /// The same in words.
    pub text: String,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, batch: Option<Uuid>, event: Option<Uuid>, text: String) -> Self {
        Self { kind, event, batch, text }
    }

    pub(super) fn event(kind: FindingKind, batch: Option<Uuid>, event: Uuid, text: String) -> Self {
        Self::new(kind, batch, Some(event), text)
    }

    pub(super) fn batch(kind: FindingKind, batch: Uuid, text: String) -> Self {
        Self::new(kind, Some(batch), None, text)
    }

    /// Whether the trail is not what was recorded. A row that others wrote and no checkpoint has sealed yet is only worth knowing, and so
    /// is what was pruned.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        match self.kind {
            FindingKind::NotSealed => self.batch.is_some(),
            FindingKind::Pruned => false,
            _ => true,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind)?;
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What is wrong.
    pub problems: u64,
    /// Rows that are what was sealed.
    pub rows: u64,
    /// Those of them that had come without a batch and were sealed afterwards.
    pub sealed_late: u64,
    /// Events that PostgreSQL refused, and that are still in the quarantine as they were.
    pub quarantined: u64,
    /// Rows that were pruned, as events say.
    pub pruned: u64,
    /// Rows that no batch has sealed yet.
    pub not_sealed: u64,
    /// Batches in the tree.
    pub batches: u64,
    /// Batches that are younger than the last checkpoint: nothing yet proves that none is missing behind them.
    pub batches_since_checkpoint: u64,
    /// Checkpoints whose tree was found again.
    pub checkpoints: u64,
    /// Those of them whose signatures were verified.
    pub signatures: u64,
}

impl Report {
    pub(super) fn count(&mut self, finding: &Finding) {
        self.problems += u64::from(finding.is_problem());
    }
}
