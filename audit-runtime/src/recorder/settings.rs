//! The configuration of a recorder.

use crate::capture::Rules;

/// The settings of a recorder.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) origin: String,
    pub(crate) actor: Option<String>,
    pub(crate) rules: Rules,
    pub(crate) durability: Durability,
    /// Whether personal values are recorded: a key encrypts them on their way, or a probe shows
    /// them as they were captured.
    pub(crate) keeps_personal: bool,
}

/// When an event survives whatever becomes of this process and its machine's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Once the journal is on disk.
    Disk,
    /// The journal is in memory: once PostgreSQL has it.
    Database,
    /// Never: a test looks at it, and that is all.
    Probe,
}

impl Durability {
    /// Returns whether rows can be inserted: a probe has no database.
    pub(crate) fn has_database(self) -> bool {
        self != Self::Probe
    }
}
