//! The tree of all batches, and the checkpoints that attest it.

use super::claims::Claims;
use super::finding::{Finding, FindingKind, Report};
use crate::event::Timestamp;
use crate::evidence::checkpoint::{BATCH, batch_leaf};
use crate::evidence::error::Failure;
use crate::evidence::key::PublicKey;
use crate::postgres::copy::decode;
use crate::seal::merkle::{Frontier, Hash};
use sqlx::postgres::PgConnection;
use std::collections::HashSet;
use uuid::Uuid;

/// A batch is put into the tree by the next checkpoint, unless its transaction was open then: for
/// less than this.
const OPEN_AT_MOST: &str = "10 minutes";

/// Recomputes the tree, and returns what is wrong with it, the batches in it, and the checkpoints.
pub(super) async fn verify(
    connection: &mut PgConnection,
    keys: &[PublicKey],
    saved: &[(String, String)],
    report: &mut Report,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let claims = Claims::read(connection, keys, saved, report, &mut findings).await?;
    let (mut frontier, mut number) = (Frontier::default(), 0);
    let (mut next, mut found) = (0, HashSet::new());
    claims.reached(&frontier, &mut next, &mut found);
    let query = format!(
        "SELECT t.number, t.batch_id, t.leaf, {BATCH} FROM audit_tree t LEFT JOIN audit_batches b ON b.id = t.batch_id ORDER BY t.number"
    );
    decode::rows(connection, &query, |row| {
        let mut fields = row.fields();
        let (at, batch, leaf) = (fields.i64()?, fields.uuid()?, fields.next()?);
        let leaf = Hash(leaf.and_then(|leaf| leaf.try_into().ok()).unwrap_or_default());
        if at != number {
            let text = format!("audit_tree: number {number} is missing, {at} follows");
            findings.push(Finding::new(FindingKind::BatchMissing, None, None, text));
        }
        number = at + 1;
        let row = fields.rest();
        if row.fields().next()?.is_none() {
            let text = "it is in the tree, and its row in audit_batches is gone".into();
            findings.push(Finding::batch(FindingKind::BatchMissing, batch, text));
        } else if batch_leaf(row) != leaf {
            let text = "its row in audit_batches is not what was put into the tree".into();
            findings.push(Finding::batch(FindingKind::BatchAltered, batch, text));
        }
        frontier.push(leaf);
        claims.reached(&frontier, &mut next, &mut found);
        Ok::<_, Failure>(())
    })
    .await?;
    report.batches = frontier.size();
    report.checkpoints = found.len() as u64;
    findings.extend(claims.compared(&found, frontier.size()));
    if frontier.size() > claims.last_size {
        let text = format!(
            "audit_tree holds {} batches, and the last checkpoint covers {}: it grows with checkpoints only",
            frontier.size(),
            claims.last_size
        );
        findings.push(Finding::new(FindingKind::Checkpoint, None, None, text));
    }
    outside(connection, claims.last, report, &mut findings).await?;
    Ok(findings)
}

/// Batches that are not in the tree.
async fn outside(
    connection: &mut PgConnection,
    last: Option<Timestamp>,
    report: &mut Report,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let (count, old): (i64, Option<Vec<Uuid>>) = sqlx::query_as(
        "SELECT count(*), array_agg(b.id) FILTER (WHERE b.created_at < $1 - $2::interval) FROM audit_batches b \
         WHERE b.root IS NOT NULL AND NOT EXISTS (SELECT FROM audit_tree t WHERE t.batch_id = b.id)",
    )
    .bind(last)
    .bind(OPEN_AT_MOST)
    .fetch_one(&mut *connection)
    .await?;
    let old = old.unwrap_or_default();
    report.batches_since_checkpoint = count.cast_unsigned() - old.len() as u64;
    findings.extend(old.into_iter().map(|id| {
        let text = "it claims to be older than the last checkpoint, which does not cover it".into();
        Finding::batch(FindingKind::BatchInserted, id, text)
    }));
    let unsealed: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM audit_batches WHERE root IS NULL OR leaves IS NULL ORDER BY id")
            .fetch_all(connection)
            .await?;
    findings.extend(
        unsealed.into_iter().map(|id| Finding::batch(FindingKind::NotSealed, id, "it has no root or no leaves".into())),
    );
    Ok(())
}
