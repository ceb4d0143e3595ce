//! Checkpoints and verifications: how old the last ones are, and what they leave uncovered.
//!
//! Each query begins a little before the last checkpoint and ends with its first row, so that a
//! trail of many rows is not read. A scalar subquery is asked for each row that is met: a join would
//! read the whole table behind it.

use super::Doctor;
use super::finding::{
    BATCHES_MISSING, BATCHES_UNCOVERED, CHECKPOINT_MISSING, Findings, QUARANTINE, ROWS_UNSEALED, VERIFICATION_FAILED,
    VERIFICATION_OLD, VERIFICATION_UNKNOWN,
};
use crate::failure::{Failure, plain};
use crate::status::{self, time};
use crate::text::{count, harmless};
use audit_runtime::Timestamp;
use serde::Deserialize;
use sqlx::postgres::PgPool;
use std::path::Path;
use std::time::{Duration, SystemTime};

const CHECKPOINT: &str = "audit-trail checkpoint --key FILE, by a timer";

/// The oldest batch without a place in the tree. Batches and rows of long transactions appear
/// behind the checkpoint: a day is more than any takes.
const UNCOVERED: &str = "SELECT extract(epoch FROM now() - min(created_at))::float8 FROM (SELECT b.created_at FROM audit_batches b \
     WHERE b.created_at >= coalesce((SELECT c.created_at - interval '1 day' FROM audit_checkpoints c ORDER BY c.id DESC LIMIT 1), '0001-01-01') \
     AND b.created_at < now() - make_interval(secs => $1) AND (SELECT true FROM audit_tree t WHERE t.batch_id = b.id LIMIT 1) IS NULL \
     ORDER BY b.created_at LIMIT 1) first";
/// The oldest row that no batch brought, and that no checkpoint has sealed.
const UNSEALED: &str = "SELECT extract(epoch FROM now() - min(created_at))::float8 FROM (SELECT e.created_at FROM audit_events e \
     WHERE e.batch_id IS NULL AND e.created_at >= coalesce((SELECT c.created_at - interval '1 day' FROM audit_checkpoints c ORDER BY c.id DESC LIMIT 1), '0001-01-01') \
     AND e.created_at < now() - make_interval(secs => $1) \
     AND (SELECT true FROM audit_late l WHERE l.event_id = e.id AND l.created_at = e.created_at LIMIT 1) IS NULL ORDER BY e.created_at LIMIT 1) first";

pub(super) async fn check(doctor: &Doctor, pool: &PgPool, findings: &mut Findings) {
    let limit = doctor.checkpoint_within as f64 * 3_600.0;
    if let Err(error) = uncovered(pool, limit, findings).await {
        findings.not_checked("checkpoints", plain(&error));
    }
    match status::gaps(pool).await {
        Ok(gaps) => gaps.iter().for_each(|gap| {
            let batches = count(gap.batches, "batch is", "batches are");
            findings.push(
                &BATCHES_MISSING,
                format!("{batches} missing in journal {} of {}, since {}", gap.journal, harmless(&gap.origin), gap.since),
                "audit-trail journal status DIRECTORY on that machine; after a failover or a restore, audit-trail journal replay DIRECTORY",
            );
        }),
        Err(error) => findings.not_checked("missing batches", plain(&error)),
    }
    match status::quarantine(pool).await {
        Ok(quarantine) if quarantine.events > 0 => {
            let about = format!("{} in the quarantine", count(quarantine.events, "event is", "events are"));
            findings.push(&QUARANTINE, about, "audit-trail quarantine list, then audit-trail quarantine retry");
        }
        Ok(_) => {}
        Err(error) => findings.not_checked("quarantine", plain(&error)),
    }
}

async fn uncovered(pool: &PgPool, limit: f64, findings: &mut Findings) -> Result<(), sqlx::Error> {
    let age = async |sql: &'static str| {
        sqlx::query_scalar::<_, Option<f64>>(sql).persistent(false).bind(limit).fetch_one(pool).await
    };
    let has_checkpoint: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM audit_checkpoints)").fetch_one(pool).await?;
    if let Some(oldest) = age(UNCOVERED).await? {
        let oldest = time(Some(oldest));
        match has_checkpoint {
            true => {
                let about = format!("a batch of {oldest} ago is not covered by a checkpoint");
                findings.push(&BATCHES_UNCOVERED, about, CHECKPOINT);
            }
            false => {
                let about = format!("no checkpoint was made, and the first batch was stored {oldest} ago");
                findings.push(&CHECKPOINT_MISSING, about, CHECKPOINT);
            }
        }
    }
    if let Some(oldest) = age(UNSEALED).await? {
        let about = format!("a row of {} ago came without a batch, and is not sealed", time(Some(oldest)));
        findings.push(&ROWS_UNSEALED, about, CHECKPOINT);
    }
    Ok(())
}

/// The last line that `audit-trail verify --json` prints.
#[derive(Debug, Deserialize)]
struct Last {
    report: Report,
}

#[derive(Debug, Deserialize)]
struct Report {
    problems: u64,
    finished_at: Timestamp,
}

/// Reads the report of the last verification.
pub(super) fn verification(doctor: &Doctor, findings: &mut Findings) {
    let Some(path) = &doctor.verification else {
        findings
            .not_checked("the last verification", "give --verification FILE, the output of audit-trail verify --json");
        return;
    };
    let remedy = format!("audit-trail verify --public-key KEY --json > {}, by a timer", path.display());
    let report = match read(path) {
        Ok(report) => report,
        Err(error) => {
            return findings.push(&VERIFICATION_UNKNOWN, format!("{}: {error}", path.display()), remedy);
        }
    };
    if report.problems > 0 {
        let problems = count(report.problems, "problem", "problems");
        let about = format!("the last verification found {problems}: {}", path.display());
        findings.push(
            &VERIFICATION_FAILED,
            about,
            "audit-trail verify --public-key KEY names them; see docs/evidence.md",
        );
    }
    let limit = Duration::from_secs(doctor.verified_within * 3_600);
    let finished = SystemTime::try_from(report.finished_at).unwrap_or(SystemTime::UNIX_EPOCH);
    let age = SystemTime::now().duration_since(finished).unwrap_or_default();
    if age > limit {
        let about = format!("the last verification ended {} ago", time(Some(age.as_secs_f64())));
        findings.push(&VERIFICATION_OLD, about, remedy);
    }
}

fn read(path: &Path) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(path)?;
    let last = text.lines().last().unwrap_or_default();
    let last: Last = serde_json::from_str(last)
        .map_err(|_| Failure::Other("the last line is not the report of a verification that came to its end".into()))?;
    Ok(last.report)
}
