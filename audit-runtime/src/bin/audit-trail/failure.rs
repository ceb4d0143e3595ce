//! What went wrong, in words that help, and the exit code that says whose fault it was.

use audit_runtime::PruneError;
use audit_runtime::evidence::{EvidenceError, ProofError};
use std::io;
use std::process::ExitCode;

/// 1: nothing found, or not all went well.
pub(crate) const NOTHING: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nothing is there: said, and no error.
    #[error("{0}")]
    Nothing(String),
    #[error("{0}")]
    Usage(String),
    #[error("cannot reach the database: {0}")]
    Unreachable(#[source] sqlx::Error),
    #[error("{}", describe(.0))]
    Database(#[from] sqlx::Error),
    #[error("the audit schema cannot be made: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Database(error) => Self::Database(error),
            EvidenceError::Key(error) => Self::Usage(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Database(error) => Self::Database(error),
            ProofError::NotFound(_) => Self::Nothing(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<PruneError> for Failure {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::Database(error) => Self::Database(error),
            PruneError::Evidence(error) => error.into(),
            PruneError::Schema(error) => Self::Other(error.to_string()),
            PruneError::Future(_) => Self::Usage(format!("--before: {error}")),
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

fn describe(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("42P01" | "42703" | "42883" | "3F000") => {
            format!("the audit schema is missing or too old: run audit-trail migrate ({error})")
        }
        Some("42501") => format!("{error}; connect as a role that may read the audit tables"),
        _ => error.to_string(),
    }
}

impl Failure {
    /// Says it, and gives its code.
    pub(crate) fn told(self) -> ExitCode {
        let code = match &self {
            // Whoever read our output has seen enough.
            Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Usage(_) => USAGE,
            Self::Unreachable(_)
            | Self::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_)) => UNREACHABLE,
            _ => NOTHING,
        };
        eprintln!("audit-trail: {}", crate::text::harmless(&self.to_string()));
        ExitCode::from(code)
    }
}
