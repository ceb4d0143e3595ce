//! The functions that services annotate, beside the events that they have recorded.

use super::read::Trail;
use super::wall::TABLE;
use crate::catalogue::AuditedFunction;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Row};

/// The annotated functions of one version of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredCatalogue {
    /// The name of the service.
    pub service: String,
    /// The version that the service states, or an empty text.
    pub version: String,
    /// The time at which a process of the version first stored it.
    pub first_seen_at: Timestamp,
    /// The functions, by their paths.
    pub functions: Vec<AuditedFunction>,
}

/// An event type, and the last time at which the trail has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedType {
    /// The event type.
    pub event_type: String,
    /// The minute of its newest event, or `None` without an event.
    pub last_recorded: Option<Timestamp>,
}

/// The newest minute of an event type, which the index on type and minute has at its end.
macro_rules! newest {
    ($name:literal) => {
        concat!(
            "(SELECT audit_bucket(e.created_at) FROM audit_events e WHERE e.event_type = ",
            $name,
            " ORDER BY audit_bucket(e.created_at) DESC LIMIT 1)"
        )
    };
}

impl Trail {
    /// Returns the stored catalogues of all services, or of one, oldest first.
    ///
    /// # Errors
    /// The query fails, or the schema is older than version 7.
    pub async fn catalogues(&self, service: Option<&str>) -> Result<Vec<StoredCatalogue>, DatabaseError> {
        let sql = "SELECT service, version, first_seen_at, functions FROM audit_catalogue \
                   WHERE $1::text IS NULL OR service = $1 ORDER BY first_seen_at, service, version, digest";
        let read = async {
            let rows = sqlx::query(sql).bind(service).persistent(false).fetch_all(&self.pool).await?;
            let catalogue = |row: &sqlx::postgres::PgRow| {
                let Json(functions) = row.try_get(3)?;
                let (service, version) = (row.try_get(0)?, row.try_get(1)?);
                Ok(StoredCatalogue { service, version, first_seen_at: row.try_get(2)?, functions })
            };
            rows.iter().map(catalogue).collect::<Result<_, sqlx::Error>>()
        };
        read.await.map_err(DatabaseError::of)
    }

    /// Returns when events of these types were last recorded, in the order of the types.
    ///
    /// An index answers it, however many events there are.
    ///
    /// # Errors
    /// The query fails.
    pub async fn last_recorded(&self, event_types: &[String]) -> Result<Vec<RecordedType>, DatabaseError> {
        let sql = concat!(
            "SELECT t.name, ",
            newest!("t.name"),
            " FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n) ORDER BY t.n"
        );
        self.recorded(sqlx::query(AssertSqlSafe(sql.replace(TABLE, self.events_table()))).bind(event_types)).await
    }

    /// Returns every event type of the trail, in the order of their names, with the last time at
    /// which it was recorded.
    ///
    /// It goes from one type to the next in an index, and reads no other event.
    ///
    /// # Errors
    /// The query fails.
    pub async fn recorded_types(&self) -> Result<Vec<RecordedType>, DatabaseError> {
        let sql = concat!(
            "WITH RECURSIVE types (name) AS (",
            "(SELECT event_type FROM audit_events ORDER BY event_type LIMIT 1) UNION ALL ",
            "SELECT (SELECT e.event_type FROM audit_events e WHERE e.event_type > t.name ORDER BY e.event_type LIMIT 1) ",
            "FROM types t WHERE t.name IS NOT NULL) ",
            "SELECT t.name, ",
            newest!("t.name"),
            " FROM types t WHERE t.name IS NOT NULL"
        );
        self.recorded(sqlx::query(AssertSqlSafe(sql.replace(TABLE, self.events_table())))).await
    }

    async fn recorded(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<RecordedType>, DatabaseError> {
        let read = async {
            let rows = query.persistent(false).fetch_all(self.events_pool()).await?;
            let recorded = |row: &sqlx::postgres::PgRow| {
                Ok(RecordedType { event_type: row.try_get(0)?, last_recorded: row.try_get(1)? })
            };
            rows.iter().map(recorded).collect::<Result<_, sqlx::Error>>()
        };
        read.await.map_err(DatabaseError::of)
    }
}
