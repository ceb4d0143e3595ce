//! Records, cuts and batches.
//!
//! A record's number is its position, and a set of records or positions is a number with a bit for
//! each.

use crate::explorer::fingerprint;

/// A set of positions, by bits.
pub type Positions = u8;

/// The set of one position.
pub fn one(position: u8) -> Positions {
    1 << position
}

/// The positions from `first` to before `end`.
pub fn range(first: u8, end: u8) -> Positions {
    (one(end) - 1) & !(one(first) - 1)
}

/// The place and the root of the batch before: `seal::Link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// The position at which it begins.
    pub first: u8,
    /// Its root.
    pub root: u64,
}

/// A batch as it was cut: `journal::Cut`. The id is the number of the process that cut it, and the
/// position at which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cut {
    /// The position at which it begins.
    pub first: u8,
    /// The position behind it.
    pub end: u8,
    /// The process that cut it. A batch has one id at most of each.
    pub by: u8,
    /// The batch before it.
    pub previous: Option<Link>,
    /// The positions at which the batches before it begin that were not stored.
    pub open: Positions,
}

/// A batch: a cut, and the records that were found for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Batch {
    /// How it was cut.
    pub cut: Cut,
    /// Its records.
    pub records: Positions,
}

impl Cut {
    /// Whether it holds a position.
    pub fn holds(&self, position: u8) -> bool {
        self.first <= position && position < self.end
    }
}

impl Batch {
    /// Its root, which covers its records and the root of the batch before: `seal::root`.
    pub fn root(&self) -> u64 {
        fingerprint(&(self.cut.previous.map(|link| link.root), self.records))
    }

    /// The link to it.
    pub fn link(&self) -> Link {
        Link { first: self.cut.first, root: self.root() }
    }

    /// Whether the other one, of the same journal, is this batch: `already_stored::is_this`.
    pub fn is(&self, other: &Self) -> bool {
        let of = |batch: &Self| (batch.cut.by, batch.cut.end, batch.link());
        of(self) == of(other)
    }

    /// Whether both hold some position.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.cut.first < other.cut.end && other.cut.first < self.cut.end
    }
}
