//! Where a new feed begins.

use super::entries::lineages;
use super::position::Position;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

/// The point at which a new feed begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// With what arrives from now on.
    #[default]
    Now,
    /// With the first event.
    Beginning,
    /// With the first batch that was stored at this time or later.
    At(Timestamp),
}

impl Position {
    /// Returns the position at which a new feed begins.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it, or the schema is older than version 11.
    pub async fn start(pool: &PgPool, start: Start) -> Result<Self, DatabaseError> {
        let found = async {
            let mut connection = pool.acquire().await?;
            Self::find(&mut connection, start).await
        };
        found.await.map_err(DatabaseError::of)
    }

    /// Finds where a feed begins.
    pub(super) async fn find(connection: &mut PgConnection, start: Start) -> Result<Self, sqlx::Error> {
        let time = match start {
            Start::Beginning => return Ok(Self::beginning()),
            Start::At(time) => Some(time),
            Start::Now => None,
        };
        if let Some(time) = time {
            let old = "SELECT EXISTS (SELECT FROM audit_batches WHERE lineage IS NULL AND created_at >= $1)";
            let is_old: bool = sqlx::query_scalar(old).bind(time).fetch_one(&mut *connection).await?;
            if is_old {
                // Before all batches of that time.
                return Ok(Self::beginning().at(time.postgres().saturating_sub(1), Uuid::max(), None));
            }
            let first: Option<(String, i64)> = sqlx::query_as(
                "SELECT lineage, min(xact)::text::bigint FROM audit_batches WHERE lineage IS NOT NULL AND created_at >= $1 \
                 GROUP BY lineage ORDER BY min(created_at) LIMIT 1",
            )
            .bind(time)
            .fetch_optional(&mut *connection)
            .await?;
            if let Some((lineage, xact)) = first {
                let passed = lineages_before(connection, &lineage).await?;
                let begin = Self { passed, ..Self::beginning() }.enter(lineage);
                return Ok(begin.at(xact.saturating_sub(1), Uuid::max(), None));
            }
        }
        let (lineage, xact): (String, i64) =
            sqlx::query_as("SELECT audit_lineage(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
                .fetch_one(&mut *connection)
                .await?;
        let passed = lineages_before(connection, &lineage).await?;
        Ok(Self { passed, ..Self::beginning() }.enter(lineage).at(xact.saturating_sub(1), Uuid::max(), None))
    }
}

/// The lineages whose first batch is older than the first one of this lineage.
async fn lineages_before(connection: &mut PgConnection, lineage: &str) -> Result<Vec<String>, sqlx::Error> {
    let all = lineages(connection).await?;
    Ok(all.into_iter().take_while(|other| other != lineage).collect())
}
