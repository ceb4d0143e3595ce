//! The tables in the database.

pub(crate) mod existing;
mod grants;
pub(crate) mod partitions;

pub use grants::{Duty, grant};
pub(crate) use partitions::make_ahead;
pub use partitions::make_partitions;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnection, PgPool};
use std::sync::LazyLock;

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    // An application's own migrations keep their table, whatever their versions.
    migrator.dangerous_set_table_name(BOOKS);
    migrator
});

/// Makes what is missing. (`Migrator::run` takes whatever gives a connection, and its future cannot be shown to be `Send`.)
async fn run_migrations(connection: &mut PgConnection) -> Result<(), MigrateError> {
    MIGRATOR.run_direct(None, connection, false).await
}

const BOOKS: &str = "_audit_migrations";

/// Makes the audit trail's tables, or brings them up to date, and makes monthly partitions ahead. Does nothing where
/// nothing is to be done, and may run in several processes at once. It keeps its own books in `_audit_migrations`, so that it goes
/// together with an application's own sqlx migrations in the same database.
///
/// A step that builds indexes may hold up rows that are to be inserted meanwhile: events wait in their journals.
///
/// Where there is a plain table `audit_events` of the seven columns already, as the system of [`execution`](crate::execution) has
/// it, its rows stay where they are: the table becomes a partition of the new one. Its writers may go on meanwhile.
///
/// # Errors
/// The database cannot be reached, does not allow it, was migrated by a newer version, or holds an `audit_events` of another kind,
/// which is left as it was.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    migrate_telling(pool, |step| tracing::info!("audit schema: {step}")).await
}

/// [`migrate`], which says each step before it takes it.
///
/// # Errors
/// As [`migrate`].
pub async fn migrate_telling(pool: &PgPool, mut tell: impl FnMut(&str)) -> Result<(), MigrateError> {
    existing::adopt(pool, &mut tell).await?;
    let before = applied(pool).await?;
    let missing = MIGRATOR.iter().filter(|migration| !before.contains(&migration.version));
    missing.for_each(|migration| tell(&format!("migration {}, {}", migration.version, migration.description)));
    run_migrations(&mut *pool.acquire().await?).await?;
    partitions::tell_made(make_ahead(pool).await?, &mut tell);
    Ok(())
}

/// The migrations that this database has.
async fn applied(pool: &PgPool) -> Result<Vec<i64>, sqlx::Error> {
    let has_books: bool =
        sqlx::query_scalar("SELECT to_regclass('_audit_migrations') IS NOT NULL").fetch_one(pool).await?;
    if !has_books {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("SELECT version FROM _audit_migrations").fetch_all(pool).await
}
