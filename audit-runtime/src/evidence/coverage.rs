//! The evidence that there is of one event.

use super::stamp::{self, TimeStamp};
use crate::event::Timestamp;
use crate::record::TrailEvent;
use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// Names the batch that seals an event, and the checkpoint that covers the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// The batch.
    pub batch_id: Uuid,
    /// The time at which the batch was stored.
    pub sealed_at: Timestamp,
    /// Whether the event came without a batch, and a checkpoint sealed it later.
    pub is_late: bool,
    /// The time of the first checkpoint that covers the batch, or `None` before there is one.
    pub checkpoint: Option<Timestamp>,
    /// The time stamp of the first checkpoint that covers the batch and has one. It is not verified.
    pub time_stamp: Option<TimeStamp>,
}

pub(crate) async fn coverage(pool: &PgPool, event: &TrailEvent) -> Result<Option<Coverage>, sqlx::Error> {
    let sql = "SELECT b.id, b.created_at, (SELECT c.created_at FROM audit_tree t JOIN audit_checkpoints c ON c.tree_size > t.number \
               WHERE t.batch_id = b.id ORDER BY c.id LIMIT 1), (SELECT number FROM audit_tree t WHERE t.batch_id = b.id) FROM audit_batches b WHERE b.root IS NOT NULL AND b.id = \
               coalesce($1, (SELECT batch_id FROM audit_late WHERE event_id = $2 AND created_at = $3))";
    let query = sqlx::query(sql).bind(event.batch_id).bind(event.id).bind(event.created_at);
    let mut connection = pool.acquire().await?;
    let Some(row) = query.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let time_stamp = match row.try_get::<Option<i64>, _>(3)? {
        Some(number) => stamp::covering(&mut connection, number).await?,
        None => None,
    };
    let (batch_id, sealed_at, checkpoint) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Some(Coverage { batch_id, sealed_at, is_late: event.batch_id.is_none(), checkpoint, time_stamp }))
}
