//! Errors of the database as users see them: by their kind, and without the driver in a signature.

use super::failure::{Failure, is_unreachable};
use sqlx::migrate::MigrateError;
use std::error::Error;
use std::fmt;

/// Reports that an operation of the database failed.
///
/// ```no_run
/// # async fn migrate(admin: audit_runtime::admin::Admin) {
/// use audit_runtime::DatabaseErrorKind;
///
/// if let Err(error) = admin.migrate().await {
///     match error.kind() {
///         DatabaseErrorKind::Unreachable => println!("try again later: {error}"),
///         DatabaseErrorKind::NotAllowed => println!("connect as the owner of the tables: {error}"),
///         _ => println!("{error}"),
///     }
/// }
/// # }
/// ```
pub struct DatabaseError {
    kind: DatabaseErrorKind,
    error: Box<dyn Error + Send + Sync>,
}

/// Classifies a [`DatabaseError`] by its remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatabaseErrorKind {
    /// The server, or the network to it, failed. A later attempt may succeed.
    Unreachable,
    /// The role lacks a privilege.
    NotAllowed,
    /// The audit tables are missing or too old, and
    /// [`Admin::migrate`](crate::admin::Admin::migrate) makes them.
    SchemaMissing,
    /// Any other failure, which its text names.
    Other,
}

impl DatabaseError {
    pub(crate) fn of(error: sqlx::Error) -> Self {
        Self { kind: kind(&error), error: error.into() }
    }

    pub(crate) fn of_migration(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => Self::of(error),
            MigrateError::ExecuteMigration(ref inner, _) => Self { kind: kind(inner), error: error.into() },
            error => Self { kind: DatabaseErrorKind::Other, error: error.into() },
        }
    }

    /// Returns the kind of the failure.
    #[must_use]
    pub fn kind(&self) -> DatabaseErrorKind {
        self.kind
    }

    /// Returns the driver's own error.
    ///
    /// Its type is not part of this crate's interface and may change with any version.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.error
    }
}

fn kind(error: &sqlx::Error) -> DatabaseErrorKind {
    match Failure::of(error) {
        Failure::SchemaMissing => DatabaseErrorKind::SchemaMissing,
        Failure::NotAllowed | Failure::OfAnotherRole => DatabaseErrorKind::NotAllowed,
        _ if is_unreachable(error) => DatabaseErrorKind::Unreachable,
        _ => DatabaseErrorKind::Other,
    }
}

impl fmt::Debug for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DatabaseError").field(&self.kind).field(&self.error).finish()
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for DatabaseError {
    /// Returns the cause of the driver's error, whose text this error has.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// An error of a layer, or of the driver below it: what functions within the crate return, so that
/// `?` takes both.
#[derive(Debug)]
pub(crate) enum Internal<E> {
    Own(E),
    Database(sqlx::Error),
}

impl<E> From<sqlx::Error> for Internal<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<DatabaseError> for Internal<DatabaseError> {
    fn from(error: DatabaseError) -> Self {
        Self::Own(error)
    }
}

impl<E: From<DatabaseError>> Internal<E> {
    /// Returns the error that users see.
    pub(crate) fn into_public(self) -> E {
        match self {
            Self::Own(error) => error,
            Self::Database(error) => DatabaseError::of(error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn an_error_has_the_text_of_the_drivers_and_a_kind() {
        let refused = || sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into());
        let error = DatabaseError::of(refused());
        assert_eq!((error.kind(), error.to_string()), (DatabaseErrorKind::Unreachable, refused().to_string()));
        assert!(error.into_inner().downcast_ref::<sqlx::Error>().is_some());
        let error = DatabaseError::of_migration(MigrateError::Execute(sqlx::Error::PoolTimedOut));
        assert_eq!(error.kind(), DatabaseErrorKind::Unreachable);
        assert_eq!(DatabaseError::of(sqlx::Error::RowNotFound).kind(), DatabaseErrorKind::Other);
    }
}
