//! The differences that an inspection reports.

use crate::postgres::schema::check::Missing;

/// A difference between the schema of a database and the one that this version of the library
/// makes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaProblem {
    /// The kind of the difference.
    pub kind: SchemaProblemKind,
    /// The difference, in words.
    pub about: String,
    /// The statement or the command that mends it.
    pub remedy: String,
}

/// Classifies a [`SchemaProblem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemaProblemKind {
    /// The server is older than the library supports.
    ServerTooOld,
    /// The server is newer than those that the library is tested with.
    ServerUntested,
    /// The audit tables do not exist.
    NoTables,
    /// `audit_events` is a plain table of an existing program.
    LegacyTable,
    /// The schema is older than the library.
    OlderSchema,
    /// The schema is newer than the library.
    NewerSchema,
    /// A table, a column, a function, a key or a trigger is missing.
    Missing,
    /// An object differs from the one that a migration makes.
    Differs,
    /// A trigger is disabled.
    DisabledTrigger,
    /// An index is missing, or is replaced by another.
    Index,
    /// An index is invalid, and no session builds it.
    InvalidIndex,
    /// A month of those ahead lacks its partition.
    Partitions,
    /// The default partition contains rows of months that could have partitions.
    DefaultPartition,
    /// Every role may create objects in the schema.
    OpenSchema,
}

impl SchemaProblem {
    pub(super) fn new(kind: SchemaProblemKind, about: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind, about: about.into(), remedy: remedy.into() }
    }

    pub(super) fn of(missing: &Missing, schema: &str) -> Self {
        let kind = match missing {
            Missing::Disabled { .. } => SchemaProblemKind::DisabledTrigger,
            Missing::Key { .. } | Missing::Trigger { .. } => SchemaProblemKind::Missing,
        };
        Self::new(kind, missing.to_string(), format!("{};", missing.remedy(schema)))
    }
}
