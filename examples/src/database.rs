//! The server of an example: the one of `DATABASE_URL`, or an embedded one.

use anyhow::Context;
use audit_runtime::admin::Admin;
use pglite_oxide::PgliteServer;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use std::time::Duration;
use tempfile::TempDir;

/// A database with the audit schema.
pub struct Database {
    /// How to reach it.
    pub options: PgConnectOptions,
    /// How many connections it serves at once.
    pub connections: usize,
    given: Option<String>,
    embedded: Option<(PgliteServer, TempDir)>,
}

impl Database {
    /// Connects to `url`, or starts PostgreSQL inside this process, and migrates.
    ///
    /// # Errors
    /// The server cannot be reached or started, or does not allow the migration.
    pub async fn open(url: Option<&str>) -> anyhow::Result<Self> {
        let database = match url {
            Some(url) => Self {
                options: url.parse().context("DATABASE_URL is no PostgreSQL URL")?,
                connections: 2,
                given: Some(url.to_owned()),
                embedded: None,
            },
            None => Self::embedded()?,
        };
        // A pool would only report that it waited in vain.
        let reached = PgConnection::connect_with(&database.options).await;
        reached.with_context(|| format!("cannot reach {}", database.name()))?.close().await?;
        let pool = database.pool();
        let migrated = Admin::new(pool.clone()).migrate().await;
        pool.close().await;
        migrated.with_context(|| format!("{}: the audit schema cannot be made", database.name()))?;
        Ok(database)
    }

    fn embedded() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join(".s.PGSQL.5432");
        let server = PgliteServer::builder()
            .temporary()
            .unix(&socket)
            .start()
            .context("the embedded PostgreSQL does not start; set DATABASE_URL to use a server")?;
        let options = PgConnectOptions::new_without_pgpass()
            .socket(directory.path())
            .port(5432)
            .username("postgres")
            .password("postgres")
            .database("postgres");
        // It serves one connection at a time, and the next one waits.
        Ok(Self { options, connections: 1, given: None, embedded: Some((server, directory)) })
    }

    /// The properties that the examples print.
    pub fn name(&self) -> &'static str {
        if self.embedded.is_some() { "PostgreSQL 17, embedded" } else { "the server of DATABASE_URL" }
    }

    /// Its URL, for programs that take one.
    ///
    /// # Errors
    /// The path of its socket is not UTF-8.
    pub fn url(&self) -> anyhow::Result<String> {
        match &self.embedded {
            Some((_, directory)) => {
                let socket = directory.path().to_str().context("the temporary directory is not UTF-8")?;
                Ok(format!("postgres://postgres:postgres@localhost/postgres?host={socket}&port=5432"))
            }
            None => self.given.clone().context("the server has no URL"),
        }
    }

    /// A pool on it, to be closed before another one is used, and before [`close`](Self::close).
    pub fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(self.connections as u32)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy_with(self.options.clone())
    }

    /// Stops an embedded server.
    ///
    /// # Errors
    /// It does not stop.
    pub fn close(self) -> anyhow::Result<()> {
        if let Some((server, _directory)) = self.embedded {
            server.shutdown()?;
        }
        Ok(())
    }
}
