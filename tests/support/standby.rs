//! Copies of a running cluster: base backups, and standbys that are promoted.

use crate::cluster::{Cluster, free_port, give_away, unprivileged};
use crate::wait;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::fs;
use std::io::Write;

impl Cluster {
    /// A base backup, which does not run yet.
    pub fn base_backup(&self) -> Self {
        self.copy(&[])
    }

    /// A standby, which replicates asynchronously and runs.
    #[must_use]
    pub fn standby(&self) -> Self {
        self.copy(&["--write-recovery-conf"]).run()
    }

    fn copy(&self, arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("audit-postgres-").tempdir().unwrap();
        give_away(directory.path());
        let (port, data) = (free_port(), directory.path().join("data"));
        let output = unprivileged(self.binaries.join("pg_basebackup"))
            .args(["--host=127.0.0.1", "--username=postgres", "--checkpoint=fast", "--wal-method=stream", "--no-sync"])
            .arg(format!("--port={}", self.port))
            .args(arguments)
            .arg("--pgdata")
            .arg(&data)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
        let mut settings = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        writeln!(settings, "port = {port}\nunix_socket_directories = '{}'", directory.path().display()).unwrap();
        Self { directory, binaries: self.binaries.clone(), port, keeper: None }
    }

    async fn ask<T>(&self, sql: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        answer
    }

    /// Ends the replication of a standby: what its primary commits from now on, it lacks.
    pub async fn lag(&self) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        for sql in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        wait::eventually("the standby receives nothing", || async {
            self.ask::<bool>("SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").await
        })
        .await;
    }

    /// Makes a standby the primary.
    pub async fn promote(&self) {
        assert!(self.ask::<bool>("SELECT pg_promote()").await);
        wait::eventually("it takes writes", || async { !self.ask::<bool>("SELECT pg_is_in_recovery()").await }).await;
    }
}
