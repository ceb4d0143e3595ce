//! Failures of the command, in words that help, and the exit status that classifies them.

use crate::say;
use crate::server::Server;
use audit_runtime::DatabaseError;
use audit_runtime::admin::{HoldError, PruneError, ReimportError};
use audit_runtime::evidence::{EvidenceError, ProofError};
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use std::io;
use std::process::ExitCode;

/// Nothing found, or a partial failure.
const NOTHING: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
/// `statement_too_complex`: PostgreSQL reads JSON level by level, and its stack has an end.
const TOO_DEEP: &str = "54001";
const DEPTH: &str =
    "a value of --where has more levels of JSON than PostgreSQL reads; look for a part of it that has fewer";
/// As a shell reports a process that SIGINT ended.
pub(crate) const INTERRUPTED: i32 = 130;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An empty answer.
    #[error("{0}")]
    Nothing(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("{}", describe(.0))]
    Database(#[from] sqlx::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

/// A subcommand, as far as its failures depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
}

/// The database role that a subcommand needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Reader,
    Checkpointer,
    Owner,
    /// A role that may forget subjects.
    Eraser,
    /// A role that may send events to other systems.
    #[cfg_attr(not(feature = "forward"), expect(dead_code, reason = "its subcommands are missing"))]
    Forwarder,
    /// The owner, who makes the tables first.
    Migrator,
}

impl Role {
    fn remedy(self) -> &'static str {
        match self {
            Self::Reader => "connect as a role that may read: audit-trail migrate --reader ROLE grants that",
            Self::Checkpointer => {
                "connect as a role that may seal: audit-trail migrate --checkpointer ROLE grants that"
            }
            Self::Eraser => "connect as a role that may forget: audit-trail migrate --eraser ROLE grants that",
            Self::Forwarder => "connect as a role that may forward: audit-trail migrate --forwarder ROLE grants that",
            Self::Owner => "connect as the owner of the audit tables",
            Self::Migrator => {
                "connect as the owner of the audit tables; for new tables, as a role that may create tables in the schema"
            }
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        let error = match error.into_inner().downcast::<sqlx::Error>() {
            Ok(error) => return Self::Database(*error),
            Err(error) => error,
        };
        match error.downcast::<MigrateError>().map(|error| *error) {
            Ok(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Self::Database(error),
            Ok(MigrateError::Source(error)) => Self::Other(plain_text(&error.to_string())),
            Ok(MigrateError::VersionMissing(version)) => Self::Other(format!(
                "a newer audit-trail migrated this database, to version {version}; use that version of the command"
            )),
            Ok(error) => Self::Other(error.to_string()),
            Err(error) => Self::Other(error.to_string()),
        }
    }
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Database(error) => error.into(),
            EvidenceError::Key(error) => Self::Usage(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Database(error) => error.into(),
            ProofError::NotFound(_) => Self::Nothing(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<PruneError> for Failure {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::Database(error) => error.into(),
            PruneError::Evidence(error) => error.into(),
            PruneError::Future(_) => Self::Usage(format!("--before: {error}")),
            PruneError::Pattern(_) => Self::Usage(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<HoldError> for Failure {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Database(error) => error.into(),
            HoldError::Unknown(_) => Self::Nothing(error.to_string()),
            HoldError::Unconditional | HoldError::Nothing | HoldError::NoReason => Self::Usage(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<ReimportError> for Failure {
    fn from(error: ReimportError) -> Self {
        match error {
            ReimportError::Database(error) => error.into(),
            ReimportError::Evidence(error) => error.into(),
            ReimportError::Archive { .. } => Self::Usage(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Self::Io(error),
            other => Self::Other(format!("{other:?}")),
        }
    }
}

/// Returns the words of PostgreSQL or the system, without the driver's around them and without the
/// line of PostgreSQL's source.
pub(crate) fn plain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => {
                let detail = error.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
                let hint = error.hint().map_or_else(String::new, |hint| format!("; hint: {hint}"));
                format!("{}{detail}{hint}", error.message())
            }
            None => error.message().to_owned(),
        },
        sqlx::Error::Configuration(error) | sqlx::Error::Tls(error) => error.to_string(),
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the server closed the connection".into()
        }
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection could be had in time".into(),
        other => other.to_string(),
    }
}

/// A text that contains what the driver made of an error, as [`plain`] words it.
pub(crate) fn plain_text(text: &str) -> String {
    const LINE: &str = " at line ";
    let text = text.replace("error returned from database: ", "").replace("while executing migrations: ", "");
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once(LINE) {
        plain += before;
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        rest = &behind[digits..];
        // Of PostgreSQL's source. JSON's lines have columns, too.
        if digits == 0 || !(rest.is_empty() || rest.starts_with(')')) {
            plain += LINE;
            rest = behind;
        }
    }
    plain + rest
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}

fn describe(error: &sqlx::Error) -> String {
    let plain = plain(error);
    match code(error).as_deref() {
        Some("42P01" | "42703" | "42883" | "3F000") => {
            format!("the audit schema is missing or too old ({plain}); run audit-trail migrate")
        }
        Some("42501") => format!("{plain}; {}", Role::Reader.remedy()),
        Some(TOO_DEEP) => DEPTH.into(),
        _ => plain,
    }
}

/// Whether the server or the way to it failed, and not what was asked of it.
pub(crate) fn is_unreachable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_) => true,
        // Connection exceptions, and a server that shuts down or starts up.
        error => code(error).is_some_and(|code| code.starts_with("08") || code.starts_with("57P0")),
    }
}

impl Failure {
    /// Whether the reader of our output has seen enough.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The same, as a failure of this task on this server.
    pub(crate) fn of(self, task: Task, server: Option<&Server>) -> Self {
        let Self::Database(error) = &self else {
            return self;
        };
        let name = task.name;
        let why = plain(error);
        if is_unreachable(error) {
            let place = server.map_or_else(String::new, |server| format!(" at {server}"));
            let hint = "check the server and the network, then run it again";
            return Self::Unreachable(format!("{name} lost the database{place}: {why}; {hint}"));
        }
        match code(error).as_deref() {
            Some("42501") => Self::Other(format!("{name} failed: {why}; {}", task.role.remedy())),
            Some("42P01" | "42703" | "42883" | "3F000") if task.role != Role::Migrator => {
                Self::Other(format!("{name} failed: {}", describe(error)))
            }
            Some(TOO_DEEP) => Self::Usage(format!("{name} failed: {DEPTH}")),
            _ => Self::Other(format!("{name} failed: {why}")),
        }
    }

    /// Prints it, and returns its exit status.
    pub(crate) fn printed(self) -> ExitCode {
        if self.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        let code = match &self {
            Self::Usage(_) => USAGE,
            Self::Unreachable(_) => UNREACHABLE,
            Self::Database(error) if is_unreachable(error) => UNREACHABLE,
            _ => NOTHING,
        };
        match (say::problem(&self), &self) {
            // If the reader is gone, the notice of an empty answer is not needed.
            (Err(error), Self::Nothing(_)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            _ => ExitCode::from(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_loses_the_drivers_words_and_nothing_of_its_own() {
        for (text, expected) in [
            (
                "error returned from database: permission denied for table a at line 2839",
                "permission denied for table a",
            ),
            ("unsupported Unicode escape sequence at line 12", "unsupported Unicode escape sequence"),
            ("expected value at line 1 column 2", "expected value at line 1 column 2"),
            ("refused at line ", "refused at line "),
            (
                "run it again (while executing migrations: error returned from database: lock not available at line 12)",
                "run it again (lock not available)",
            ),
            ("refused", "refused"),
        ] {
            assert_eq!(plain_text(text), expected);
        }
    }
}
