//! The tenant wall: events as a tenant's login sees them in the view `audit_tenant_events`.

use super::row::columns;
use crate::event::Timestamp;
use crate::record::TrailEvent;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use uuid::Uuid;

/// The table of events.
pub(super) const TABLE: &str = "audit_events";
/// The view of the events of one tenant, by `session_user`.
pub(super) const VIEW: &str = "audit_tenant_events";

/// A tenant's login.
#[derive(Debug, Clone)]
pub(super) struct Wall(PgPool);

impl Wall {
    pub(super) fn new(login: PgPool) -> Self {
        Self(login)
    }

    pub(super) fn login(&self) -> &PgPool {
        &self.0
    }

    /// Reads these events again, in the view. Those that it does not show are left out.
    ///
    /// The first reading can use every index. A condition on JSON would read all events of the
    /// tenant in the view, because such conditions may reveal what they are compared with.
    pub(super) async fn read(&self, events: Vec<TrailEvent>) -> Result<Vec<TrailEvent>, sqlx::Error> {
        if events.is_empty() {
            return Ok(events);
        }
        let keys: Vec<(Timestamp, Uuid)> = events.iter().map(|event| (event.created_at, event.id)).collect();
        let (times, ids): (Vec<Timestamp>, Vec<Uuid>) = keys.iter().copied().unzip();
        let sql = columns!().replace(TABLE, VIEW) + "created_at = ANY ($1) AND id = ANY ($2)";
        // A named statement, for the type of an array of times is looked up before it is executed.
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(times).bind(ids);
        let seen: Vec<TrailEvent> = query.fetch_all(&self.0).await?;
        let mut seen: HashMap<_, _> = seen.into_iter().map(|event| ((event.created_at, event.id), event)).collect();
        Ok(keys.iter().filter_map(|key| seen.remove(key)).collect())
    }
}
