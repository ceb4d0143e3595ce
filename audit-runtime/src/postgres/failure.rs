//! The meaning of PostgreSQL's errors for a batch.

use super::schema::check::Missing;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The reaction to a failed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    /// The failure will pass: the server, the network, a lock.
    Retry,
    /// The database must be migrated.
    SchemaMissing,
    /// The role lacks a privilege.
    NotAllowed,
    /// A row is at fault, and would be again.
    RowRefused,
    /// Another batch has the place of this one.
    Conflict,
    /// The journal belongs to a role of which this one is not a member.
    OfAnotherRole,
}

/// The constraint that `audit_admit` names.
const OF_ROLE: &str = "audit_journal_role";

/// Another batch has the place of this one.
#[derive(Debug, thiserror::Error)]
#[error(
    "audit_batches has another batch at position {first} of journal {journal}: {found}. The events wait in the journal; find out who stored it, \
     and have the owner of the tables remove it"
)]
pub(crate) struct Conflict {
    pub(crate) journal: Uuid,
    pub(crate) first: u64,
    pub(crate) found: String,
}

impl Conflict {
    /// A record lies within a stored batch that does not hold it.
    pub(crate) fn of_record(journal: Uuid, position: u64, first: u64) -> Self {
        Self { journal, first, found: format!("it claims the record at {position}, whose event it does not hold") }
    }
}

impl From<Conflict> for sqlx::Error {
    fn from(error: Conflict) -> Self {
        Self::AnyDriverError(error.into())
    }
}

/// The tables lack what batches are stored exactly once by.
#[derive(Debug, thiserror::Error)]
#[error(
    "the audit schema is incomplete, as after a restore that ended early: {0}; run audit-trail migrate, which makes it anew"
)]
pub(crate) struct Incomplete(pub(crate) Missing);

impl From<Incomplete> for sqlx::Error {
    fn from(error: Incomplete) -> Self {
        Self::AnyDriverError(error.into())
    }
}

/// The table took a row and stored none.
#[derive(Debug, thiserror::Error)]
#[error(
    "audit_events took the row and stored none: a trigger or a rule on it drops rows; let it pass every row, or remove it, then retry"
)]
pub(crate) struct Swallowed;

impl From<Swallowed> for sqlx::Error {
    fn from(error: Swallowed) -> Self {
        Self::AnyDriverError(error.into())
    }
}

/// A relay's account of a failure that it had with PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[error("{text} (told by the relay)")]
pub(crate) struct Told {
    pub(crate) failure: Failure,
    /// The server has no connection left.
    pub(crate) is_full: bool,
    pub(crate) text: String,
}

impl From<Told> for sqlx::Error {
    fn from(error: Told) -> Self {
        Self::AnyDriverError(error.into())
    }
}

impl Failure {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::AnyDriverError(error) if error.is::<Swallowed>() => return Self::RowRefused,
            sqlx::Error::AnyDriverError(error) if error.is::<Conflict>() => return Self::Conflict,
            sqlx::Error::AnyDriverError(error) if error.is::<Incomplete>() => return Self::SchemaMissing,
            sqlx::Error::AnyDriverError(error) if error.is::<Told>() => {
                return error.downcast_ref::<Told>().map_or(Self::Retry, |told| told.failure);
            }
            _ => {}
        }
        let Some(database) = error.as_database_error() else {
            return Self::Retry;
        };
        if database.constraint() == Some(OF_ROLE) {
            return Self::OfAnotherRole;
        }
        let Some(code) = database.code() else {
            return Self::Retry;
        };
        Self::of_code(&code)
    }

    /// By the SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn of_code(code: &str) -> Self {
        match (code.get(..2).unwrap_or_default(), code) {
            (_, "42P01" | "42703" | "42883" | "3F000") => Self::SchemaMissing,
            (_, "42501") => Self::NotAllowed,
            // Data exception, integrity constraint, WITH CHECK OPTION, program limit, RAISE in an
            // application's trigger.
            ("22" | "23" | "44" | "54" | "P0", _) => Self::RowRefused,
            ("53" | "55" | "57" | "58" | "72" | "XX", _) => Self::Retry,
            // The standard leaves classes with these first characters to implementations, and
            // PostgreSQL's own are above: RAISE with an application's code.
            (class, _) if class.starts_with(|c: char| matches!(c, '5'..='9' | 'I'..='Z')) => Self::RowRefused,
            _ => Self::Retry,
        }
    }
}

/// Whether an error is about the row, and not about the server or the way to it.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    Failure::of(error) == Failure::RowRefused
}

/// Whether the server has no connection left.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::AnyDriverError(error) => error.downcast_ref::<Told>().is_some_and(|told| told.is_full),
        error => error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "53300"),
    }
}

/// Whether the server or the way to it failed, and not what was asked of it.
pub(crate) fn is_unreachable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_) => true,
        // Connection exceptions, and a server that shuts down or starts up.
        error => error
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| code.starts_with("08") || code.starts_with("57P0")),
    }
}

/// Whether the role lacks a privilege.
pub(crate) fn is_not_allowed(error: &sqlx::Error) -> bool {
    Failure::of(error) == Failure::NotAllowed
}

/// An error as one line for a warning, and for `Stats::last_error`.
pub(crate) fn describe(error: &sqlx::Error) -> String {
    match Failure::of(error) {
        Failure::SchemaMissing if error.as_database_error().is_some() => {
            format!("the audit schema is missing or too old: call Admin::migrate ({error})")
        }
        // The database's message is a sentence already.
        Failure::OfAnotherRole => {
            error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_tells_whose_fault_it_is() {
        for code in
            ["08006", "53300", "53100", "57P01", "57014", "25006", "40001", "40P01", "55P03", "28P01", "XX000", ""]
        {
            assert_eq!(Failure::of_code(code), Failure::Retry, "{code}");
        }
        for code in ["22P02", "23514", "23505", "54000", "P0001", "U0001", "Z9999", "99001"] {
            assert_eq!(Failure::of_code(code), Failure::RowRefused, "{code}");
        }
        assert_eq!(Failure::of_code("42501"), Failure::NotAllowed);
        for code in ["42P01", "42703"] {
            assert_eq!(Failure::of_code(code), Failure::SchemaMissing, "{code}");
        }
    }
}
