//! The tables in the database.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPool;
use std::sync::LazyLock;

/// Months for which partitions are made ahead.
const MONTHS_AHEAD: i32 = 3;

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    // An application's own migrations keep their table, whatever their versions.
    migrator.dangerous_set_table_name("_audit_migrations");
    migrator
});

/// Makes the audit trail's tables, or brings them up to date, and makes monthly partitions ahead. Does nothing where
/// nothing is to be done, and may run in several processes at once. It keeps its own books in `_audit_migrations`, so that it goes
/// together with an application's own sqlx migrations in the same database.
///
/// # Errors
/// The database cannot be reached, does not allow it, or was migrated by a newer version.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    MIGRATOR.run(pool).await?;
    sqlx::query("SELECT audit_make_partitions($1)").bind(MONTHS_AHEAD).execute(pool).await?;
    Ok(())
}
