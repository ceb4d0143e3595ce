//! What an error of PostgreSQL means for a batch.

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It will pass: the server, the network, a lock.
    Retry,
    /// Somebody has to migrate the database.
    SchemaMissing,
    /// A row is at fault, and would be again.
    RowRefused,
}

impl Failure {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        let Some(code) = error.as_database_error().and_then(|error| error.code()) else {
            return Self::Retry;
        };
        // <https://www.postgresql.org/docs/current/errcodes-appendix.html>
        match (code.get(..2).unwrap_or_default(), &*code) {
            (_, "42P01" | "42703" | "42883" | "3F000") => Self::SchemaMissing,
            // Data exception, integrity constraint, WITH CHECK OPTION, program limit, RAISE in somebody's trigger.
            ("22" | "23" | "44" | "54" | "P0", _) => Self::RowRefused,
            _ => Self::Retry,
        }
    }
}

/// Whether an error is about the row, and not about the server or the way to it.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    Failure::of(error) == Failure::RowRefused
}

/// An error as one line for a warning, and for `Stats::last_error`.
pub(crate) fn describe(error: &sqlx::Error) -> String {
    match Failure::of(error) {
        Failure::SchemaMissing => {
            format!("the audit schema is missing or too old: call audit_runtime::migrate ({error})")
        }
        _ => error.to_string(),
    }
}
