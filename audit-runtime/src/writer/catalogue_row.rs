//! The row of a service's catalogue.

use super::parts::ServiceCatalogue;
use super::sql_literal::{Bytea, quoted};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

/// Events never wait for a catalogue.
const LIMITS: &str = "SET LOCAL statement_timeout TO '2s'; SET LOCAL lock_timeout TO '1s'";

/// Returns the statement. It reads nothing, so a role needs only the right to insert.
fn statement(catalogue: &ServiceCatalogue, origin: &str) -> String {
    let ServiceCatalogue { service, version, functions } = catalogue;
    let digest = Sha256::digest(functions);
    format!(
        "{LIMITS}; INSERT INTO audit_catalogue (service, version, digest, functions, origin) \
         VALUES ({}, {}, {}, {}, {}) ON CONFLICT DO NOTHING",
        quoted(service),
        quoted(version),
        Bytea(Some(&digest)),
        quoted(functions),
        quoted(origin)
    )
}

/// Inserts it. After an answer of the server, the connection is as before.
pub(super) async fn insert(
    connection: &mut PgConnection,
    catalogue: &ServiceCatalogue,
    origin: &str,
) -> Result<Result<(), sqlx::Error>, sqlx::Error> {
    // One message is one transaction, behind a pooler, too.
    match connection.execute(sqlx::raw_sql(AssertSqlSafe(statement(catalogue, origin)))).await {
        Ok(_) => Ok(Ok(())),
        Err(error) if error.as_database_error().is_some() => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_literals() {
        let catalogue = ServiceCatalogue {
            service: "o'brien\\".into(),
            version: "1'; DROP TABLE audit_events; --".into(),
            functions: r#"[{"file": "a\\b"}]"#.into(),
        };
        let sql = statement(&catalogue, "o@h:1");
        assert!(sql.contains(r"VALUES (E'o''brien\\', E'1''; DROP TABLE audit_events; --', '\x"), "{sql}");
        assert!(sql.contains(r#"E'[{"file": "a\\\\b"}]'"#), "{sql}");
    }
}
