//! The migrations, which sqlx applies, and the table in which a database has theirs.

use super::amendments;
use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::postgres::PgConnection;
use std::sync::LazyLock;

pub(super) static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    // An application's own migrations keep their table, whatever their versions.
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
});

/// Makes what is missing. (`Migrator::run` takes whatever gives a connection, and its future cannot
/// be shown to be `Send`.)
pub(super) async fn run(connection: &mut PgConnection) -> Result<(), MigrateError> {
    MIGRATOR.run_direct(None, connection, false).await
}

const MIGRATIONS_TABLE: &str = "_audit_migrations";

/// Returns whether every migration is recorded as applied in its present form. A role that may not
/// read them goes by the version of what comes after.
pub(super) async fn are_applied(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let reads_books: Option<bool> =
        sqlx::query_scalar("SELECT has_table_privilege(to_regclass('_audit_migrations')::oid, 'SELECT')")
            .fetch_one(&mut *connection)
            .await?;
    if reads_books != Some(true) {
        return Ok(reads_books.is_some() && amendments::version(connection).await? >= amendments::VERSION);
    }
    let applied = applied(connection).await?;
    let known = |(version, checksum): &(i64, Vec<u8>)| {
        MIGRATOR.iter().any(|known| known.version == *version && *known.checksum == **checksum)
    };
    Ok(applied.len() == MIGRATOR.iter().count() && applied.iter().all(known))
}

/// Returns the migrations that a database lacks. A role that may not read the books goes by the table that the last one makes.
pub(super) async fn missing(connection: &mut PgConnection) -> Result<Vec<&'static Migration>, sqlx::Error> {
    let sql = "SELECT NOT has_table_privilege(to_regclass('_audit_migrations')::oid, 'SELECT') AND to_regclass('audit_pruned') IS NOT NULL";
    if sqlx::query_scalar::<_, Option<bool>>(sql).fetch_one(&mut *connection).await? == Some(true) {
        return Ok(Vec::new());
    }
    let before = applied(connection).await?;
    Ok(MIGRATOR.iter().filter(|migration| !before.iter().any(|(known, _)| *known == migration.version)).collect())
}

/// Returns the statements of a migration, with those by which sqlx records it.
pub(super) fn script(migration: &Migration) -> Vec<String> {
    let books = format!(
        "CREATE TABLE IF NOT EXISTS {MIGRATIONS_TABLE} (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, \
         execution_time BIGINT NOT NULL)"
    );
    let entry = format!(
        "INSERT INTO {MIGRATIONS_TABLE} (version, description, success, checksum, execution_time) \
         VALUES ({}, '{}', true, '\\x{}', -1)",
        migration.version,
        migration.description.replace('\'', "''"),
        hex::encode(&*migration.checksum)
    );
    vec![books, migration.sql.as_str().trim_end().trim_end_matches(';').to_owned(), entry]
}

/// Returns the quoted schema of `audit_events`, or the one in which it would be created.
pub(super) async fn schema(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let sql = "SELECT quote_ident(coalesce((SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.oid = to_regclass('audit_events')), current_schema(), 'public'))";
    sqlx::query_scalar(sql).fetch_one(connection).await
}

/// The migrations that this database has, with their checksums.
pub(super) async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let has_books: bool =
        sqlx::query_scalar("SELECT to_regclass('_audit_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !has_books {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, checksum FROM _audit_migrations WHERE success").fetch_all(connection).await
}
