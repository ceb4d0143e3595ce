//! The parts of a verification share one moment of the database, and a channel for their findings.

use super::finding::Finding;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use std::sync::Arc;

/// A message from the parts of a verification to its caller.
#[derive(Debug)]
pub(super) enum Message {
    Found(Finding),
    Rows { verified: u64, late: u64, quarantined: u64, pruned: u64 },
}

/// One moment of the database, for several connections.
#[derive(Debug, Clone)]
pub(super) struct Snapshot(Arc<str>);

impl Snapshot {
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    /// Partitions are not part of a snapshot. Until this lock ends, none is removed.
    const LOCK: &'static str = "LOCK TABLE audit_events IN ACCESS SHARE MODE";
    const SETTINGS: &'static str = "SET LOCAL statement_timeout TO 0; SET LOCAL jit TO off";

    pub(super) async fn export(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        connection.execute(Self::BEGIN).await?;
        connection.execute(sqlx::raw_sql(Self::SETTINGS)).await?;
        connection.execute(Self::LOCK).await?;
        let name: String = sqlx::query_scalar("SELECT pg_export_snapshot()").fetch_one(connection).await?;
        Ok(Self(name.into()))
    }

    pub(super) async fn import(&self, options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
        let mut connection = options.clone().connect().await?;
        connection.execute(Self::BEGIN).await?;
        let import = format!("SET TRANSACTION SNAPSHOT '{}'; {}", self.0, Self::SETTINGS);
        connection.execute(sqlx::raw_sql(AssertSqlSafe(import))).await?;
        Ok(connection)
    }
}
