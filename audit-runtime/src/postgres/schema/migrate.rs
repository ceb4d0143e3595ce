//! Bringing the tables up to date.

use super::amendments::{AMENDMENTS, in_schema, version};
use super::online::{self, Choice, Step};
use super::{amend, check, legacy_table, migrations, partitions};
use sqlx::migrate::{MigrateError, Migration};
use sqlx::postgres::PgPool;

/// Makes or migrates the tables, and reports each step before it starts.
pub(crate) async fn migrate(pool: &PgPool, choice: Choice, mut tell: impl FnMut(&str)) -> Result<(), MigrateError> {
    let version = pool.acquire().await?.server_version_num();
    check::supported(version).map_err(sqlx::Error::from)?;
    legacy_table::adopt(pool, &mut tell).await?;
    let mut connection = pool.acquire().await?;
    if !migrations::are_applied(&mut connection).await? {
        for migration in migrations::missing(&mut connection).await? {
            tell(&format!("migration {}, {}", migration.version, migration.description));
        }
        migrations::run(&mut connection).await?;
    }
    let missing = check::missing(&mut connection).await?;
    if !check::problems(&mut connection, &missing).await?.is_empty() {
        amend::run(&mut connection, &mut tell).await?;
    }
    drop(connection);
    // Partitions that are made behind it have the new indexes from the beginning.
    online::run(pool, choice, &mut tell).await?;
    let mut connection = pool.acquire().await?;
    if partitions::are_missing(&mut connection).await? {
        partitions::tell_made(partitions::make_ahead(&mut *connection).await?, &mut tell);
    }
    Ok(())
}

/// Returns the steps that a migration would take, with their statements. It changes nothing, and every role may ask.
pub(crate) async fn pending(pool: &PgPool, choice: Choice) -> Result<Vec<Step>, MigrateError> {
    let mut connection = pool.acquire().await?;
    check::supported(connection.server_version_num()).map_err(sqlx::Error::from)?;
    if legacy_table::is_plain(&mut connection).await? {
        return Ok(vec![legacy_table::pending()]);
    }
    let missing = migrations::missing(&mut connection).await?;
    let is_new = !missing.is_empty();
    let script = |migration: &Migration| {
        let about = format!("migration {}, {}", migration.version, migration.description);
        Step::transaction(about, migrations::script(migration))
    };
    let mut steps: Vec<Step> = missing.into_iter().map(script).collect();
    let (schema, version) = (migrations::schema(&mut connection).await?, version(&mut connection).await?);
    for amendment in AMENDMENTS.iter().filter(|amendment| amendment.version > version) {
        let about = format!("version {}, {}", amendment.version, amendment.about);
        steps.push(Step::transaction(
            about,
            vec![in_schema(amendment.sql, &schema), amend::recorded(amendment, &schema)],
        ));
    }
    for missing in check::missing(&mut connection).await?.into_iter().filter(|missing| !missing.comes_after(version)) {
        steps.push(Step::transaction(format!("{missing}: made anew"), vec![missing.remedy(&schema)]));
    }
    if is_new {
        steps.extend(online::after_migrations(&schema, choice));
    } else {
        steps.extend(online::pending(&mut connection, choice).await?);
    }
    if is_new || partitions::are_missing(&mut connection).await? {
        steps.push(Step::transaction("monthly partitions ahead".into(), vec![partitions::MAKE_AHEAD.into()]));
    }
    Ok(steps)
}
