//! Verification: everything again, from the rows.
//!
//! ```text
//! tree     checkpoints' signatures; every batch in the tree is as it was, and the tree had their sizes and roots
//! chain    every batch has the root of the batch of its journal before it
//! pruned   what is said to have been pruned is what an event says
//! rows     every row has its entry, every entry its row, in the order that the root attests; in parallel
//! rest     rows that no batch has sealed
//! ```
//!
//! All of it sees one moment of the database, however long it takes and whatever is written meanwhile.

mod chain;
mod finding;
mod pruned;
mod rows;
mod tree;

pub use finding::{Finding, FindingKind, Report};

use super::key::{PublicKey, SignedHead};
use super::{EvidenceError, late};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Verifies a trail.
///
/// ```no_run
/// use audit_runtime::evidence::{Verification, VerificationStep};
/// # async fn verify(pool: sqlx::PgPool, key: audit_runtime::evidence::PublicKey) -> Result<(), audit_runtime::evidence::EvidenceError> {
/// let report = Verification::new(pool)
///     .public_key(key)
///     .run(|step| {
///         if let VerificationStep::Found(finding) = step {
///             println!("{finding}");
///         }
///     })
///     .await?;
/// assert_eq!(report.problems, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Verification {
    pool: PgPool,
    key: Option<PublicKey>,
    /// What they are called, and their notes.
    saved: Vec<(String, String)>,
    threads: usize,
}

/// What a verification tells while it goes on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum VerificationStep {
    /// So many rows are verified, of so many that batches have.
    Rows {
        /// Verified.
        done: u64,
        /// Of so many.
        of: u64,
    },
    /// Something was found.
    Found(Finding),
}

/// What the parts of a verification hand to the one who asked for it.
#[derive(Debug)]
enum Message {
    Found(Finding),
    Rows { verified: u64, late: u64, quarantined: u64, pruned: u64 },
}

impl Verification {
    /// Of the trail that this pool reaches.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { pool, key: None, saved: Vec::new(), threads }
    }

    /// The key that checkpoints have to be signed with. Without one, signatures prove nothing, and are not looked at.
    #[must_use]
    pub fn public_key(mut self, key: PublicKey) -> Self {
        self.key = Some(key);
        self
    }

    /// A checkpoint that was kept elsewhere: nothing it covers may have changed since. `name` is what findings call it.
    #[must_use]
    pub fn checkpoint(mut self, name: impl Into<String>, note: impl Into<String>) -> Self {
        self.saved.push((name.into(), note.into()));
        self
    }

    /// How many threads, each with a connection of its own, verify rows; by default as many as the machine has cores.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Does it. What is found is told as it is found; the report at the end has the counts.
    ///
    /// # Errors
    /// The database cannot be reached, or does not allow it. That something is wrong with the trail is no error.
    pub async fn run(&self, mut tell: impl FnMut(VerificationStep)) -> Result<Report, EvidenceError> {
        let options = self.pool.connect_options();
        let mut connection = options.as_ref().clone().connect().await?;
        let snapshot = Snapshot::export(&mut connection).await?;
        let mut report = Report::default();
        for finding in tree::verify(&mut connection, self.key.as_ref(), &self.saved, &mut report).await? {
            found(&mut report, &mut tell, finding);
        }
        chain::verify(&mut connection, |finding| found(&mut report, &mut tell, finding)).await?;
        let prunes = pruned::verify(&mut connection, |finding| found(&mut report, &mut tell, finding)).await?;
        let ranges = rows::ranges(&mut connection).await?;
        let of = ranges.iter().map(|range| range.rows).sum();
        let (sender, mut messages) = mpsc::channel(1024);
        let workers = rows::start((ranges, prunes), self.threads, &options, &snapshot, &sender)?;
        drop(sender);
        while let Some(message) = messages.recv().await {
            match message {
                Message::Found(finding) => found(&mut report, &mut tell, finding),
                Message::Rows { verified, late, quarantined, pruned } => {
                    report.rows += verified;
                    report.sealed_late += late;
                    report.quarantined += quarantined;
                    report.pruned += pruned;
                    tell(VerificationStep::Rows { done: report.rows + report.pruned, of });
                }
            }
        }
        workers.ended()?;
        for finding in unsealed(&mut connection, &mut report).await? {
            found(&mut report, &mut tell, finding);
        }
        let _ = connection.close().await;
        Ok(report)
    }
}

/// Counts what was found, and tells it.
fn found(report: &mut Report, tell: &mut impl FnMut(VerificationStep), finding: Finding) {
    report.count(&finding);
    tell(VerificationStep::Found(finding));
}

/// The most rows without a seal that are named.
const NAMED: i64 = 20;

/// Rows that no batch has sealed yet: those that others wrote since the last checkpoint.
async fn unsealed(connection: &mut PgConnection, report: &mut Report) -> Result<Vec<Finding>, EvidenceError> {
    let unsealed = late::UNSEALED;
    let count = format!("SELECT count(*) FROM audit_events e WHERE {unsealed}");
    report.not_sealed =
        sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).fetch_one(&mut *connection).await?.cast_unsigned();
    let first = format!("SELECT e.id FROM audit_events e WHERE {unsealed} ORDER BY e.created_at, e.id LIMIT {NAMED}");
    let ids = if report.not_sealed == 0 {
        Vec::new()
    } else {
        sqlx::query_scalar(AssertSqlSafe(first)).fetch_all(&mut *connection).await?
    };
    Ok(ids
        .into_iter()
        .map(|id| {
            Finding::event(
                FindingKind::NotSealed,
                None,
                id,
                "no batch has sealed it yet; the next checkpoint will".into(),
            )
        })
        .collect())
}

/// One moment of the database, for several connections.
#[derive(Debug, Clone)]
struct Snapshot(Arc<str>);

impl Snapshot {
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    /// Which partitions there are is no part of a snapshot: until this ends, nobody takes one away.
    const LOCK: &'static str = "LOCK TABLE audit_events IN ACCESS SHARE MODE";
    const SETTINGS: &'static str = "SET LOCAL statement_timeout TO 0; SET LOCAL jit TO off";

    async fn export(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        connection.execute(Self::BEGIN).await?;
        connection.execute(sqlx::raw_sql(Self::SETTINGS)).await?;
        connection.execute(Self::LOCK).await?;
        let name: String = sqlx::query_scalar("SELECT pg_export_snapshot()").fetch_one(connection).await?;
        Ok(Self(name.into()))
    }

    async fn import(&self, options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
        let mut connection = options.clone().connect().await?;
        connection.execute(Self::BEGIN).await?;
        let import = format!("SET TRANSACTION SNAPSHOT '{}'; {}", self.0, Self::SETTINGS);
        connection.execute(sqlx::raw_sql(AssertSqlSafe(import))).await?;
        Ok(connection)
    }
}

/// Reads a checkpoint, and says what is wrong with it.
fn open(name: &str, note: &str, key: Option<&PublicKey>) -> Result<SignedHead, Finding> {
    let opened = key.map_or_else(|| SignedHead::read(note), |key| key.open(note));
    opened.map_err(|error| Finding::new(FindingKind::Signature, None, None, format!("{name}: {error}")))
}
