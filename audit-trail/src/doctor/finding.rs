//! The findings that doctor may report, in one table.

use crate::text::harmless;
use serde::Serialize;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// Events or evidence are lost, can be changed, or soon will be.
    Critical,
    /// It works, and something should be mended.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        })
    }
}

/// A row of the table: a name for programs, how bad it is, and why it matters.
#[derive(Debug, Serialize)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) why: &'static str,
}

macro_rules! kinds {
    ($($constant:ident = $name:literal, $severity:ident, $why:literal;)+) => {
        $(pub(crate) const $constant: Kind = Kind { name: $name, severity: Severity::$severity, why: $why };)+
        /// All of them, in the order of their checks.
        pub(crate) const KINDS: &[Kind] = &[$($constant),+];
    };
}

kinds! {
    KEY_UNREADABLE = "key-unreadable", Critical, "without its key, a checkpoint is neither made nor verified, and personal data stay unread";
    KEY_MODE = "key-mode", Critical, "a reader of a secret key can sign for you or read personal data, and a writer can replace a public one";
    KEY_MISMATCH = "key-mismatch", Critical, "a checkpoint of another key proves nothing to those who hold this one, and this one signs no further";
    MASTER_KEY_MISMATCH = "master-key-mismatch", Critical, "personal data under another master key stay unread, and their subjects get further keys";
    JOURNAL_UNREADABLE = "journal-unreadable", Critical, "a service records only what its journal takes";
    JOURNAL_MODE = "journal-mode", Critical, "the journal contains captured values in clear, and who can write there can add events";
    JOURNAL_DISK = "journal-disk", Critical, "a journal that cannot grow refuses events";
    JOURNAL_LEFT_OVER = "journal-left-over", Warning, "events of a process that has ended are in no database, and a lost disk takes them along";
    VERIFICATION_UNKNOWN = "verification-unknown", Warning, "a change of stored rows is noticed by a verification only";
    VERIFICATION_OLD = "verification-old", Warning, "a change of stored rows is noticed by a verification only";
    VERIFICATION_FAILED = "verification-failed", Critical, "the trail is not what was recorded";
    SERVER_TOO_OLD = "server-too-old", Critical, "the schema uses what this server lacks";
    SERVER_UNTESTED = "server-untested", Warning, "nobody has run the suites on this server";
    CLOCK_DIFFERS = "clock-differs", Warning, "times of events and of batches are compared, and this machine's intervals miss events";
    NO_TABLES = "no-tables", Critical, "no event can be stored";
    LEGACY_TABLE = "legacy-table", Warning, "rows of a plain table are neither sealed nor protected from changes";
    SCHEMA_OLDER = "schema-older", Warning, "parts of this version do not work until the schema has theirs";
    SCHEMA_NEWER = "schema-newer", Warning, "an older program does not see newer columns, and reports rows that use them as changed";
    SCHEMA_MISSING = "schema-missing", Critical, "without keys, triggers and functions, events are stored twice, changed, or not at all";
    SCHEMA_DIFFERS = "schema-differs", Critical, "an object that was replaced may let rows be changed, or changes them itself";
    TRIGGER_DISABLED = "trigger-disabled", Critical, "PostgreSQL accepts changes that the trigger refuses";
    INDEX_MISSING = "index-missing", Warning, "queries, retention and adoption read whole partitions without it";
    INDEX_INVALID = "index-invalid", Warning, "writers pay for an index that no query uses";
    PARTITIONS_BEHIND = "partitions-behind", Warning, "events of a month without a partition go to the default one, from where they have to be moved";
    DEFAULT_PARTITION = "default-partition", Warning, "a month in the default partition can be neither pruned nor archived";
    SCHEMA_OPEN = "schema-open", Critical, "a role that creates objects in this schema can place its own before those of the trail";
    ROLE_UNKNOWN = "role-unknown", Critical, "a service that is to use this role cannot connect";
    ROLE_UNLIMITED = "role-unlimited", Critical, "a service that is taken over could change the trail with this role";
    ROLE_LACKS_RIGHT = "role-lacks-right", Critical, "the role's task fails, and events wait in the journal";
    ROLE_EXCEEDS = "role-exceeds", Warning, "a right that no duty needs helps nobody but an attacker";
    ROLE_MAY_CHANGE = "role-may-change", Critical, "only the triggers keep this role from changing what was recorded";
    ROLE_CANNOT_CONNECT = "role-cannot-connect", Critical, "events wait in the journal until the role can connect";
    ROLE_READ_ONLY = "role-read-only", Critical, "the session is on a standby or may only read, and stores nothing";
    ROLE_SEES_OTHER_TABLE = "role-sees-other-table", Critical, "the role's events go to another table than the one that is verified";
    TENANT_WALL = "tenant-wall", Critical, "a tenant's login must see the events of its tenant, and no others";
    CHECKPOINT_MISSING = "checkpoint-missing", Critical, "until a checkpoint is signed, who owns the database can remove batches unnoticed";
    BATCHES_UNCOVERED = "batches-uncovered", Warning, "who owns the database can remove batches behind the last checkpoint unnoticed";
    ROWS_UNSEALED = "rows-unsealed", Warning, "a row that came without a batch can be changed unnoticed until a checkpoint seals it";
    BATCHES_MISSING = "batches-missing", Critical, "a batch waits in its journal, or the database went back in time and lost it";
    QUARANTINE = "quarantine", Warning, "the events are in no list and no history until they are stored";
    WRITER_CLOCK_AHEAD = "writer-clock-ahead", Warning, "events from the future come last in every list, and intervals up to now miss them";
    WRITER_LATE = "writer-late", Warning, "events wait in the journal, or the writer's clock is behind the server's";
}

/// A finding.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) kind: &'static Kind,
    /// The fact, in words.
    pub(crate) about: String,
    /// A command, SQL or a sentence.
    pub(crate) remedy: String,
}

/// Findings so far, and the checks that could not be made.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) found: Vec<Finding>,
    /// A check, and why it was not made.
    pub(crate) not_checked: Vec<String>,
}

impl Findings {
    pub(crate) fn push(&mut self, kind: &'static Kind, about: impl Into<String>, remedy: impl Into<String>) {
        self.found.push(Finding { kind, about: about.into(), remedy: remedy.into() });
    }

    pub(crate) fn not_checked(&mut self, check: &str, why: impl fmt::Display) {
        self.not_checked.push(format!("{check}: {why}"));
    }

    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|finding| finding.kind.severity == severity).count()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kind { name, severity, why } = self.kind;
        writeln!(f, "{severity:<9} {name}: {}", harmless(&self.about))?;
        writeln!(f, "          why     {why}")?;
        let mut lines = self.remedy.lines();
        write!(f, "          remedy  {}", harmless(lines.next().unwrap_or_default()))?;
        lines.try_for_each(|line| write!(f, "\n                  {}", harmless(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_of_one_kind_and_reasons_are_one_sentence() {
        let names: HashSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        for Kind { name, why, .. } in KINDS {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert!(!why.contains(". ") && !why.ends_with('.') && why.split(' ').count() <= 25, "{why}");
        }
    }
}
