//! Evidence beside the events: what is known at once for a list, and what is checked on request.

use super::refusal::Refusal;
use audit_runtime::Timestamp;
use audit_runtime::admin::Admin;
use audit_runtime::evidence::{Check, Examination, PublicKey, Tree};
use audit_runtime::trail::TrailEvent;
use serde::Serialize;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{RwLock, RwLockReadGuard};
use uuid::Uuid;

/// Altered events that are remembered for lists.
const MOST_ALTERED: usize = 10_000;

/// The evidence of an event, as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Badge {
    /// A checkpoint covers its batch.
    Covered { checkpoint: i64, at: Timestamp },
    /// It is sealed, and the next checkpoint will cover it.
    Sealed,
    /// No batch seals it yet.
    NotSealed,
    /// It was checked a moment ago, and equals its seal under the checkpoint.
    Verified { checkpoint: i64 },
    /// It was checked a moment ago, and equals its seal. No checkpoint covers that yet.
    EqualsSeal,
    /// A check has found that it, or its evidence, was changed.
    Altered { why: String },
}

/// A checkpoint, as far as lists need it.
#[derive(Debug, Clone, Copy)]
struct Covering {
    id: i64,
    size: u64,
    at: Timestamp,
}

/// The tree's hashes, the checkpoints, and what was found altered.
pub(crate) struct Evidence {
    admin: Admin,
    pool: PgPool,
    key: Option<PublicKey>,
    tree: RwLock<Tree>,
    checkpoints: RwLock<Vec<Covering>>,
    altered: Mutex<HashMap<Uuid, String>>,
}

impl Evidence {
    pub(crate) fn new(pool: PgPool, key: Option<PublicKey>) -> Self {
        Self {
            admin: Admin::new(pool.clone()),
            pool,
            key,
            tree: RwLock::default(),
            checkpoints: RwLock::default(),
            altered: Mutex::default(),
        }
    }

    /// Returns the key by which signatures are checked.
    pub(crate) fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// Reads checkpoints and batches that are new.
    pub(crate) async fn refresh(&self) -> Result<(), Refusal> {
        let last = self.checkpoints.read().await.last().map_or(0, |last| last.id);
        let sql = "SELECT id, tree_size, created_at FROM audit_checkpoints WHERE id > $1 ORDER BY id";
        let new: Vec<(i64, i64, Timestamp)> = sqlx::query_as(sql).bind(last).fetch_all(&self.pool).await?;
        let has_new = !new.is_empty();
        if has_new {
            let mut known = self.checkpoints.write().await;
            for (id, size, at) in new {
                // Another request may have added it meanwhile.
                if known.last().is_none_or(|last| last.id < id) {
                    known.push(Covering { id, size: size.cast_unsigned(), at });
                }
            }
        }
        let wanted = self.checkpoints.read().await.iter().map(|checkpoint| checkpoint.size).max().unwrap_or(0);
        // A checkpoint without new batches may exchange the key.
        if has_new || self.tree.read().await.batches() < wanted {
            let mut tree = self.tree.write().await;
            self.admin.extend_tree(&mut tree).await?;
        }
        Ok(())
    }

    /// Returns the tree with all checkpoints that there are now.
    pub(crate) async fn tree(&self) -> Result<RwLockReadGuard<'_, Tree>, Refusal> {
        self.refresh().await?;
        Ok(self.tree.read().await)
    }

    /// Returns what is known of events without checking them.
    pub(crate) async fn badges(&self, events: &[TrailEvent]) -> Result<HashMap<Uuid, Badge>, Refusal> {
        if events.is_empty() {
            return Ok(HashMap::new());
        }
        self.refresh().await?;
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let times: Vec<Timestamp> = events.iter().map(|event| event.created_at).collect();
        let batches: Vec<Option<Uuid>> = events.iter().map(|event| event.batch_id).collect();
        let sql = "SELECT e.id, b.id IS NOT NULL, t.number FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) AS e (id, at, batch) \
                   LEFT JOIN audit_late l ON e.batch IS NULL AND l.event_id = e.id AND l.created_at = e.at \
                   LEFT JOIN audit_batches b ON b.id = coalesce(e.batch, l.batch_id) AND b.root IS NOT NULL \
                   LEFT JOIN audit_tree t ON t.batch_id = b.id";
        let rows: Vec<(Uuid, bool, Option<i64>)> =
            sqlx::query_as(sql).bind(ids).bind(times).bind(batches).fetch_all(&self.pool).await?;
        let checkpoints = self.checkpoints.read().await;
        let altered = self.altered.lock().unwrap_or_else(PoisonError::into_inner);
        let badge = |(id, is_sealed, number): (Uuid, bool, Option<i64>)| {
            let covering = number.and_then(|number| {
                let at = checkpoints.partition_point(|checkpoint| checkpoint.size <= number.cast_unsigned());
                checkpoints.get(at)
            });
            let badge = match (altered.get(&id), covering) {
                (Some(why), _) => Badge::Altered { why: why.clone() },
                (None, Some(covering)) => Badge::Covered { checkpoint: covering.id, at: covering.at },
                (None, None) if is_sealed => Badge::Sealed,
                (None, None) => Badge::NotSealed,
            };
            (id, badge)
        };
        Ok(rows.into_iter().map(badge).collect())
    }

    /// Checks events now, and remembers for lists which were altered.
    pub(crate) async fn examine(&self, events: &[TrailEvent]) -> Result<Vec<Examination>, Refusal> {
        self.refresh().await?;
        let mut examinations = {
            let tree = self.tree.read().await;
            self.admin.examine(events, &tree, self.key.as_ref()).await?
        };
        let failed = |check: &Check| matches!(check, Check::Failed(_));
        if examinations.iter().any(|examination| failed(&examination.tree) || failed(&examination.signature)) {
            // The tree in memory may be that of a database which was restored since.
            let mut whole = Tree::new();
            self.admin.extend_tree(&mut whole).await?;
            examinations = self.admin.examine(events, &whole, self.key.as_ref()).await?;
            *self.tree.write().await = whole;
        }
        let mut altered = self.altered.lock().unwrap_or_else(PoisonError::into_inner);
        for examination in &examinations {
            match examination.failure() {
                Some(why) if altered.len() < MOST_ALTERED => {
                    altered.insert(examination.event_id, why.to_owned());
                }
                Some(_) => {}
                None => {
                    altered.remove(&examination.event_id);
                }
            }
        }
        Ok(examinations)
    }

    /// Returns how many events are known to be altered.
    pub(crate) fn altered(&self) -> usize {
        self.altered.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Badge {
    /// Returns what an examination has shown.
    pub(crate) fn of(examination: &Examination) -> Self {
        if let Some(why) = examination.failure() {
            return Self::Altered { why: why.to_owned() };
        }
        match (&examination.checkpoint, &examination.row) {
            (Some(checkpoint), Check::Passed) => Self::Verified { checkpoint: checkpoint.id },
            (None, Check::Passed) => Self::EqualsSeal,
            _ => Self::NotSealed,
        }
    }

    /// Returns the words of the badge.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Covered { checkpoint, .. } => format!("checkpoint {checkpoint}"),
            Self::Sealed => "not yet covered".into(),
            Self::NotSealed => "not sealed yet".into(),
            Self::Verified { checkpoint } => format!("verified, checkpoint {checkpoint}"),
            Self::EqualsSeal => "verified, not yet covered".into(),
            Self::Altered { .. } => "ALTERED".into(),
        }
    }

    /// Returns the name of its look.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Covered { .. } => "covered",
            Self::Sealed | Self::NotSealed => "waiting",
            Self::Verified { .. } | Self::EqualsSeal => "verified",
            Self::Altered { .. } => "altered",
        }
    }
}
