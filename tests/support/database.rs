//! A database of a test's own.

use crate::{Cluster, Config, eventually};
use audit_runtime::admin::{Admin, JournalState, Progress, journals};
use audit_runtime::evidence::{Finding, PublicKey, Report, Verification};
use audit_runtime::{Audit, Builder, Event, ShutdownReport};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// An empty database, or one with the audit schema, in the shared cluster or a given one. It goes
/// with the cluster.
#[derive(Debug)]
pub struct Database {
    /// Its URL.
    pub url: String,
    /// A pool on it.
    pub pool: PgPool,
    /// A directory for journals.
    pub journals: TempDir,
}

impl Database {
    /// With the audit schema, in the shared cluster.
    pub async fn new() -> Self {
        Self::migrated_in(Cluster::shared()).await
    }

    /// Without a table, in the shared cluster.
    pub async fn empty() -> Self {
        Self::empty_in(Cluster::shared()).await
    }

    /// With the audit schema.
    pub async fn migrated_in(cluster: &Cluster) -> Self {
        let database = Self::empty_in(cluster).await;
        database.admin().migrate().await.unwrap();
        database
    }

    /// With the audit schema, in a cluster of its own that is down.
    pub async fn out_of_reach() -> (Cluster, Self) {
        let mut cluster = Cluster::start(Config::default());
        let database = Self::migrated_in(&cluster).await;
        database.pool.close().await;
        cluster.down();
        (cluster, database)
    }

    /// Without a table.
    pub async fn empty_in(cluster: &Cluster) -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let admin = pool(&cluster.url("postgres"));
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&admin).await.unwrap();
        admin.close().await;
        let url = cluster.url(&name);
        Self { pool: pool(&url), url, journals: tempfile::tempdir().unwrap() }
    }

    /// The database of this URL.
    pub fn at(url: &str) -> Self {
        Self { pool: pool(url), url: url.to_owned(), journals: tempfile::tempdir().unwrap() }
    }

    /// A builder for this database and its journal directory, with small segments.
    pub fn audit(&self) -> Builder {
        Audit::builder()
            .postgres(self.url.as_str())
            .journal(self.journals.path())
            .segment_bytes(1 << 20)
            .service("test")
    }

    /// A new pool: after the server was down.
    pub fn reconnect(&mut self) {
        self.pool = pool(&self.url);
    }

    /// The same database in a copy of its cluster, with the same journals.
    #[must_use]
    pub fn moved_to(self, cluster: &Cluster) -> Self {
        let name = self.url.rsplit('/').next().unwrap();
        let url = cluster.url(name);
        Self { pool: pool(&url), url, journals: self.journals }
    }

    /// The administration of it.
    pub fn admin(&self) -> Admin {
        Admin::new(self.pool.clone())
    }

    /// The number that a query gives.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// How many rows there are.
    pub async fn events(&self) -> i64 {
        self.count("SELECT count(*) FROM audit_events").await
    }

    /// Verifies the trail, with these checkpoints kept elsewhere, and returns the findings and the
    /// report.
    pub async fn verify(&self, key: Option<&PublicKey>, saved: &[String]) -> (Vec<Finding>, Report) {
        let mut verification = Verification::new().threads(2);
        verification = key.cloned().into_iter().fold(verification, Verification::public_key);
        for (number, note) in saved.iter().enumerate() {
            verification = verification.checkpoint(format!("saved checkpoint {number}"), note);
        }
        let mut findings = Vec::new();
        let tell = |step: Progress<'_>| {
            if let Progress::Found(finding) = step {
                findings.push(finding);
            }
        };
        let report = self.admin().verify(&verification, tell).await.unwrap();
        (findings, report)
    }

    /// Verifies a trail that nobody has harmed.
    ///
    /// # Panics
    /// Something is found.
    pub async fn is_unharmed(&self) -> Report {
        let (findings, report) = self.verify(None, &[]).await;
        let problems: Vec<_> =
            findings.iter().filter(|finding| finding.is_problem()).map(ToString::to_string).collect();
        assert!(problems.is_empty() && report.problems == 0, "{problems:#?}");
        report
    }

    /// Gives a process up: its trail ends at once, and waits for whoever starts next. A writer that
    /// is at work may outlast the shutdown, and as long as it has its journal nobody adopts it.
    ///
    /// # Panics
    /// It keeps its journal.
    pub async fn abandon(&self, audit: Audit) -> ShutdownReport {
        let report = audit.shutdown(Duration::ZERO).await.unwrap();
        let waits =
            || journals(self.journals.path()).unwrap().iter().all(|journal| journal.state == JournalState::Waiting);
        eventually("the journal is let go of", async || waits()).await;
        report
    }

    /// The bytes of all cut logs of the journals.
    ///
    /// # Panics
    /// The directory of journals cannot be read.
    pub fn cut_logs(&self) -> Vec<u8> {
        self.cut_files().iter().flat_map(|log| std::fs::read(log).unwrap_or_default()).collect()
    }

    /// The files of cut logs, those of one journal in their order.
    pub fn cut_files(&self) -> Vec<PathBuf> {
        let journals = std::fs::read_dir(self.journals.path()).unwrap().flatten().map(|entry| entry.path());
        let files = journals.flat_map(std::fs::read_dir).flatten().flatten().map(|file| file.path());
        let mut files: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|extension| extension == "cuts")).collect();
        files.sort();
        files
    }

    /// Leaves a journal of so many events, like a process that dies while PostgreSQL is away, and
    /// returns its path.
    pub async fn orphan(&self, events: usize) -> PathBuf {
        let all = || std::fs::read_dir(self.journals.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        let before: HashSet<PathBuf> = all().collect();
        let nowhere = self.audit().postgres("postgres://nobody@127.0.0.1:1/nothing").adopt_every(Duration::MAX);
        let audit = nowhere.segment_bytes(1 << 16).data_limit(1 << 14).start().unwrap();
        for _ in 0..events {
            audit.record(Event::new("order.orphaned")).unwrap();
        }
        audit.shutdown(Duration::ZERO).await.unwrap();
        drop(audit);
        all().filter(|path| path.is_dir()).find(|path| !before.contains(path)).unwrap()
    }

    /// How many events of a type there are.
    pub async fn events_of(&self, event_type: &str) -> i64 {
        let count = "SELECT count(*) FROM audit_events WHERE event_type = $1";
        sqlx::query_scalar(count).bind(event_type).fetch_one(&self.pool).await.unwrap()
    }

    /// How many journal directories are left.
    pub fn journal_directories(&self) -> usize {
        std::fs::read_dir(self.journals.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()).count()
    }
}

fn pool(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(60)).connect_lazy(url).unwrap()
}
