//! A verification: its settings and its steps.

use super::finding::{Finding, FindingKind, Report};
use super::parts::{Message, Snapshot};
#[cfg(feature = "timestamp")]
use super::stamps;
use super::{chain, holds, pruned, rows, tree};
use crate::evidence::error::Failure;
use crate::evidence::key::PublicKey;
#[cfg(feature = "timestamp")]
use crate::evidence::tsp::Authorities;
use crate::evidence::unbatched;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::mpsc;

/// The settings of a verification, which [`Admin::verify`](crate::admin::Admin::verify) runs.
///
/// ```no_run
/// use audit_runtime::admin::Admin;
/// use audit_runtime::evidence::{EvidenceError, PublicKey, Verification};
/// # async fn verify(pool: sqlx::PgPool, key: PublicKey) -> Result<(), EvidenceError> {
/// let verification = Verification::new().public_key(key);
/// let report = Admin::new(pool).verify(&verification, |step| println!("{step}")).await?;
/// assert_eq!(report.problems, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Verification {
    keys: Vec<PublicKey>,
    /// The saved checkpoints: their names, and their notes.
    saved: Vec<(String, String)>,
    threads: usize,
    #[cfg(feature = "timestamp")]
    authorities: Option<Authorities>,
}

/// A step of a verification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VerificationStep {
    /// The number of rows verified so far, and of those that batches have.
    Rows { done: u64, of: u64 },
    /// A finding.
    Found(Finding),
}

impl Default for Verification {
    fn default() -> Self {
        Self::new()
    }
}

impl Verification {
    /// Creates a verification of the whole trail, without a key or a saved checkpoint.
    #[must_use]
    pub fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            keys: Vec::new(),
            saved: Vec::new(),
            threads,
            #[cfg(feature = "timestamp")]
            authorities: None,
        }
    }

    /// Adds a key that checkpoints of its name must be signed with.
    ///
    /// Without a key, signatures prove nothing, and are not checked. One key of a name is enough, even
    /// if it was exchanged: the checkpoint of the exchange leads to the others. A log that was restored
    /// has two names, and takes two keys.
    #[must_use]
    pub fn public_key(mut self, key: PublicKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds a checkpoint that was kept elsewhere.
    ///
    /// Nothing it covers may have changed since. Findings refer to it by `name`.
    #[must_use]
    pub fn checkpoint(mut self, name: impl Into<String>, note: impl Into<String>) -> Self {
        self.saved.push((name.into(), note.into()));
        self
    }

    /// Sets the CA certificates that must lead to the authorities of time stamps.
    ///
    /// Without them, a time stamp must be signed by the certificate in it, which anybody could have
    /// made.
    #[cfg(feature = "timestamp")]
    #[cfg_attr(docsrs, doc(cfg(feature = "timestamp")))]
    #[must_use]
    pub fn authorities(mut self, authorities: Authorities) -> Self {
        self.authorities = Some(authorities);
        self
    }

    /// Sets how many threads verify rows. The default is the number of the machine's cores.
    ///
    /// Each thread uses a connection of its own.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Verifies the trail that this pool reaches.
    pub(crate) async fn run(&self, pool: &PgPool, mut tell: impl FnMut(VerificationStep)) -> Result<Report, Failure> {
        let options = pool.connect_options();
        let mut connection = options.as_ref().clone().connect().await?;
        let snapshot = Snapshot::export(&mut connection).await?;
        let mut report = Report::default();
        for finding in tree::verify(&mut connection, &self.keys, &self.saved, &mut report).await? {
            found(&mut report, &mut tell, finding);
        }
        #[cfg(feature = "timestamp")]
        for finding in stamps::verify(&mut connection, self.authorities.as_ref(), &mut report).await? {
            found(&mut report, &mut tell, finding);
        }
        chain::verify(&mut connection, |finding| found(&mut report, &mut tell, finding)).await?;
        let prunes = pruned::verify(&mut connection, |finding| found(&mut report, &mut tell, finding)).await?;
        for finding in holds::verify(&mut connection).await? {
            found(&mut report, &mut tell, finding);
        }
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

/// Counts a finding, and reports it.
fn found(report: &mut Report, tell: &mut impl FnMut(VerificationStep), finding: Finding) {
    report.count(&finding);
    tell(VerificationStep::Found(finding));
}

/// The most rows without a seal that are named.
const NAMED: i64 = 20;

/// Rows that no batch has sealed yet: those that others wrote since the last checkpoint.
async fn unsealed(connection: &mut PgConnection, report: &mut Report) -> Result<Vec<Finding>, Failure> {
    let unsealed = unbatched::UNSEALED;
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
