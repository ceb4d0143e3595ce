//! The tree of all batches, and the checkpoints that attest it.

use super::finding::{Finding, FindingKind, Report};
use crate::event::Timestamp;
use crate::evidence::checkpoint::{BATCH, batch_leaf};
use crate::evidence::error::Failure;
use crate::evidence::key::{PublicKey, SignedHead};
use crate::postgres::copy::decode;
use crate::seal::merkle::{Frontier, Hash};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// A batch is put into the tree by the next checkpoint, unless its transaction was open then: for
/// less than this.
const OPEN_AT_MOST: &str = "10 minutes";

/// The tree as a checkpoint describes it.
struct Claim {
    name: String,
    size: u64,
    root: Hash,
}

/// Recomputes the tree, and returns what is wrong with it, the batches in it, and the checkpoints.
pub(super) async fn verify(
    connection: &mut PgConnection,
    key: Option<&PublicKey>,
    saved: &[(String, String)],
    report: &mut Report,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let (mut claims, last, last_size) = claims(connection, key, saved, report, &mut findings).await?;
    claims.sort_by_key(|claim| claim.size);
    let mut claims = claims.into_iter().peekable();
    let mut frontier = Frontier::default();
    let mut number = 0;
    let mut reached = |frontier: &Frontier, findings: &mut Vec<Finding>, report: &mut Report| {
        while let Some(claim) = claims.next_if(|claim| claim.size <= frontier.size()) {
            if claim.size == frontier.size() && claim.root == frontier.root() {
                report.checkpoints += 1;
            } else {
                let text = format!(
                    "{}: the first {} batches are not those it was made of: what they hold was changed and sealed again, or the tree was",
                    claim.name, claim.size
                );
                findings.push(Finding::new(FindingKind::Checkpoint, None, None, text));
            }
        }
        claims.peek().map(|claim| (claim.name.clone(), claim.size))
    };
    reached(&frontier, &mut findings, report);
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
        reached(&frontier, &mut findings, report);
        Ok::<_, Failure>(())
    })
    .await?;
    report.batches = frontier.size();
    if let Some((name, size)) = reached(&frontier, &mut findings, report) {
        let text =
            format!("{name}: it covers {size} batches, and {} are left: the last ones were removed", frontier.size());
        findings.push(Finding::new(FindingKind::Checkpoint, None, None, text));
    }
    if frontier.size() > last_size {
        let text = format!(
            "audit_tree holds {} batches, and the last checkpoint covers {last_size}: it grows with checkpoints only",
            frontier.size()
        );
        findings.push(Finding::new(FindingKind::Checkpoint, None, None, text));
    }
    outside(connection, last, report, &mut findings).await?;
    Ok(findings)
}

/// Returns the claims of the checkpoints, the time of the last one, and the size in the last stored
/// one.
async fn claims(
    connection: &mut PgConnection,
    key: Option<&PublicKey>,
    saved: &[(String, String)],
    report: &mut Report,
    findings: &mut Vec<Finding>,
) -> Result<(Vec<Claim>, Option<Timestamp>, u64), Failure> {
    let mut claims = Vec::new();
    let mut last = None;
    let mut opened = |name: String, opened: Result<SignedHead, Finding>, findings: &mut Vec<Finding>| match opened {
        Ok(head) => {
            report.signatures += u64::from(key.is_some());
            let time = head.time.and_then(|time| time.parse().ok());
            last = last.max(time);
            let (size, number) = (head.size, head.number);
            claims.push(Claim { name, size, root: head.root });
            Some((size, number))
        }
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    let mut misplaced = Vec::new();
    let (mut stored, mut last_size) = (0_u64, 0);
    decode::rows(connection, "SELECT id, tree_size, note FROM audit_checkpoints ORDER BY id", |row| {
        let mut fields = row.fields();
        let (id, size, note) = (fields.i64()?, fields.i64()?.cast_unsigned(), fields.next()?.unwrap_or_default());
        let name = format!("checkpoint {id} in audit_checkpoints");
        let head = open(&name, &String::from_utf8_lossy(note), key);
        if let Some((signed, number)) = opened(name, head, findings) {
            if signed != size || number != Some(stored) {
                misplaced.push(id);
            }
            stored = number.unwrap_or(stored);
            last_size = signed;
        }
        stored += 1;
        Ok::<_, Failure>(())
    })
    .await?;
    for (name, note) in saved {
        if let Some((_, Some(number))) = opened(name.clone(), open(name, note, key), findings)
            && number >= stored
        {
            let text = format!("{name}: it is number {number}, and only {stored} are left in audit_checkpoints");
            findings.push(Finding::new(FindingKind::Checkpoint, None, None, text));
        }
    }
    findings.extend(misplaced.into_iter().map(|id| {
        let text = format!("checkpoint {id} in audit_checkpoints is not in its place, or the one before it is gone, or its size is another");
        Finding::new(FindingKind::Checkpoint, None, None, text)
    }));
    if stored == 0 && key.is_some() {
        let text = "audit_checkpoints is empty: no checkpoint was made yet, or all were removed".into();
        findings.push(Finding::new(FindingKind::Checkpoint, None, None, text));
    }
    let last_stored: Option<(Vec<u8>, String)> =
        sqlx::query_as("SELECT frontier, note FROM audit_checkpoints ORDER BY id DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    if let Some((frontier, note)) = last_stored
        && let Ok(head) = SignedHead::read(&note)
        && Frontier::from_bytes(head.size, &frontier).is_none_or(|frontier| frontier.root() != head.root)
    {
        let text = "the last checkpoint in audit_checkpoints: its frontier does not belong to its root".into();
        findings.push(Finding::new(FindingKind::Checkpoint, None, None, text));
    }
    Ok((claims, last, last_size))
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

/// Reads a checkpoint, and reports its problems.
fn open(name: &str, note: &str, key: Option<&PublicKey>) -> Result<SignedHead, Finding> {
    let opened = key.map_or_else(|| SignedHead::read(note), |key| key.open(note));
    opened.map_err(|error| Finding::new(FindingKind::Signature, None, None, format!("{name}: {error}")))
}
