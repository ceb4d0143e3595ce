//! What an error of PostgreSQL means for a batch.

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It will pass: the server, the network, a lock.
    Retry,
    /// Somebody has to migrate the database.
    SchemaMissing,
    /// The role lacks a privilege.
    NotAllowed,
    /// A row is at fault, and would be again.
    RowRefused,
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

impl Failure {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::AnyDriverError(error) if error.is::<Swallowed>()) {
            return Self::RowRefused;
        }
        let Some(code) = error.as_database_error().and_then(|error| error.code()) else {
            return Self::Retry;
        };
        Self::of_code(&code)
    }

    /// By the SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn of_code(code: &str) -> Self {
        match (code.get(..2).unwrap_or_default(), code) {
            (_, "42P01" | "42703" | "42883" | "3F000") => Self::SchemaMissing,
            (_, "42501") => Self::NotAllowed,
            // Data exception, integrity constraint, WITH CHECK OPTION, program limit, RAISE in somebody's trigger.
            ("22" | "23" | "44" | "54" | "P0", _) => Self::RowRefused,
            ("53" | "55" | "57" | "58" | "72" | "XX", _) => Self::Retry,
            // The standard leaves classes that begin so to whoever makes them up, and PostgreSQL's own are above: RAISE with
            // a code of somebody's own.
            (class, _) if class.starts_with(|c: char| matches!(c, '5'..='9' | 'I'..='Z')) => Self::RowRefused,
            _ => Self::Retry,
        }
    }
}

/// Whether an error is about the row, and not about the server or the way to it.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    Failure::of(error) == Failure::RowRefused
}

/// Whether the role lacks a privilege.
pub(super) fn is_not_allowed(error: &sqlx::Error) -> bool {
    Failure::of(error) == Failure::NotAllowed
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
