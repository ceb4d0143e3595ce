//! A look at the schema that changes nothing: what it lacks, what differs, what is due.
//!
//! It asks PostgreSQL's catalogue, and reads no more of the rows than an index shows at once. So it
//! takes milliseconds, and every role may ask.

mod functions;
mod objects;
mod partitions;
mod problem;

pub use problem::{SchemaProblem, SchemaProblemKind};

use super::amend;
use super::amendments::{VERSION, version};
use super::check;
use super::legacy_table;
use super::migrations;
use super::online::{self, Choice};
use sqlx::postgres::{PgConnection, PgPool};

const MIGRATE: &str = "audit-trail migrate";

/// Returns the differences. Every role may ask.
pub(crate) async fn inspect(pool: &PgPool, choice: Choice) -> Result<Vec<SchemaProblem>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut problems: Vec<SchemaProblem> = server(connection.server_version_num()).into_iter().collect();
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass('audit_events') IS NOT NULL")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    if !is_there {
        problems.push(SchemaProblem::new(SchemaProblemKind::NoTables, "the audit tables do not exist", MIGRATE));
        return Ok(problems);
    }
    if legacy_table::is_plain(&mut connection).await? {
        let about = "audit_events is a plain table of seven columns, which migrate converts in place";
        problems.push(SchemaProblem::new(SchemaProblemKind::LegacyTable, about, MIGRATE));
        return Ok(problems);
    }
    tables(&mut connection, choice, &mut problems).await?;
    Ok(problems)
}

/// The problem of a server of this version.
fn server(version_num: Option<u32>) -> Option<SchemaProblem> {
    if let Err(error) = check::supported(version_num) {
        let remedy = "upgrade the server with pg_upgrade, or by dump and restore";
        return Some(SchemaProblem::new(SchemaProblemKind::ServerTooOld, error.to_string(), remedy));
    }
    let major = version_num? / 10_000;
    (major > check::NEWEST).then(|| {
        let about =
            format!("the server is PostgreSQL {major}, and this version is tested up to PostgreSQL {}", check::NEWEST);
        SchemaProblem::new(SchemaProblemKind::ServerUntested, about, "install a newer audit-trail")
    })
}

async fn tables(
    connection: &mut PgConnection,
    choice: Choice,
    problems: &mut Vec<SchemaProblem>,
) -> Result<(), sqlx::Error> {
    let schema = migrations::schema(connection).await?;
    let found = version(connection).await?;
    if found < VERSION {
        let about = format!("the schema's version is {found}, and this program works with {VERSION}");
        problems.push(SchemaProblem::new(SchemaProblemKind::OlderSchema, about, MIGRATE));
    }
    if found > VERSION {
        let about = format!("the schema's version is {found}, and this program knows {VERSION}");
        problems.push(SchemaProblem::new(
            SchemaProblemKind::NewerSchema,
            about,
            "cargo install audit-trail --force, or upgrade the package that contains this program",
        ));
    }
    let missing = check::missing(connection).await?;
    problems.extend(missing.iter().map(|missing| SchemaProblem::of(missing, &schema)));
    if found == VERSION {
        objects::inspect(connection, &schema, problems).await?;
        functions::inspect(connection, &schema, problems).await?;
    }
    let invalid = objects::invalid_indexes(connection, problems).await?;
    for step in online::pending(connection, choice).await? {
        if !invalid.iter().any(|name| step.about.ends_with(name.as_str())) {
            problems.push(SchemaProblem::new(
                SchemaProblemKind::Index,
                format!("{}: not there yet", step.about),
                MIGRATE,
            ));
        }
    }
    partitions::inspect(connection, problems).await?;
    if amend::everybody_creates(connection).await? {
        problems.push(SchemaProblem::new(
            SchemaProblemKind::OpenSchema,
            format!("every role may create objects in schema {schema}"),
            format!("REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;"),
        ));
    }
    Ok(())
}
