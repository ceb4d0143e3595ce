//! Legal holds: events that may be neither pruned nor forgotten.
//!
//! A hold is a row of `audit_holds`, together with an event `audit.held`. A hold that is lifted stays
//! there, together with an event `audit.released`. Verification compares both.

use super::error::HoldError;
use crate::capture::nul::without_nul;
use crate::event::reserved::{FORGOTTEN, HELD, PRUNED, REIMPORTED, RELEASED};
use crate::event::{IntoEntityId, IntoTenant, Timestamp, clock, ids, written};
use crate::postgres::{Internal, system_event};
use crate::record::Entity;
use serde_json::{Map, Value};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Executor};
use std::fmt;
use uuid::Uuid;

/// The most events of a hold that are counted.
const COUNTED: i64 = 10_000;

/// Selects the events that a legal hold keeps: those that match all of its conditions.
///
/// ```
/// use audit_runtime::admin::Hold;
///
/// let hold = Hold::new().entity("customer", 42).event("payment.*");
/// assert_eq!(hold.to_string(), "customer:42, events payment.*");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "a hold keeps nothing until it is added"]
pub struct Hold {
    entity: Option<Entity>,
    tenant: Option<String>,
    event: Option<String>,
    actor: Option<String>,
    /// An entity or a tenant was given that is none.
    is_empty: bool,
}

/// A hold that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HoldStatus {
    /// The id of the hold.
    pub id: Uuid,
    /// The conditions, in words.
    pub scope: String,
    /// The reason for the hold.
    pub reason: String,
    /// The actor who added it.
    pub actor: String,
    /// The time since which it is in force.
    pub since: Timestamp,
    /// The end of the hold, if it was lifted.
    pub lifted: Option<LiftedHold>,
    /// The number of events that match, at most [`MOST_COUNTED`](Self::MOST_COUNTED), or `None` if
    /// counting took longer than two seconds.
    pub events: Option<u64>,
}

impl HoldStatus {
    /// The most events that are counted. A hold with this number may keep more.
    pub const MOST_COUNTED: u64 = COUNTED.cast_unsigned();
}

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiftedHold {
    /// The time.
    pub at: Timestamp,
    /// The actor who lifted it.
    pub by: String,
    /// The reason.
    pub reason: String,
}

/// The result of adding a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddedHold {
    /// The id of the hold.
    pub id: Uuid,
    /// Whether the hold is new. If not, a hold with the same conditions is in force already.
    pub is_new: bool,
    /// The number of events that match, as in [`HoldStatus::events`].
    pub events: Option<u64>,
}

/// The error that functions here return.
pub(crate) type Failure = Internal<HoldError>;

impl From<HoldError> for Failure {
    fn from(error: HoldError) -> Self {
        Self::Own(error)
    }
}

impl Hold {
    /// Creates a hold without a condition. It needs at least one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects the events of this entity, be it a further one of an event, and those whose data name
    /// it as `<entity_type>_id`. An id is a `Uuid` or any key.
    pub fn entity(mut self, entity_type: impl Into<String>, id: impl IntoEntityId) -> Self {
        let entity = Entity::new(entity_type.into(), &id);
        self.is_empty |= entity.id.is_none();
        self.entity = Some(entity);
        self
    }

    /// Selects events about data of this tenant.
    pub fn tenant(mut self, tenant: impl IntoTenant) -> Self {
        tenant.tenant_ref(&mut |tenant| self.tenant = written(tenant));
        self.is_empty |= self.tenant.is_none();
        self
    }

    /// Selects events of this type, in which `*` stands for any text: `payment.*`.
    pub fn event(mut self, event_type: impl AsRef<str>) -> Self {
        self.event = Some(without_nul(event_type.as_ref()).into_owned());
        self
    }

    /// Selects events by this actor.
    pub fn actor(mut self, actor: impl AsRef<str>) -> Self {
        self.actor = Some(without_nul(actor.as_ref()).into_owned());
        self
    }

    fn check(&self) -> Result<(), HoldError> {
        match self {
            Self { is_empty: true, .. } => Err(HoldError::Nothing),
            Self { entity: None, tenant: None, event: None, actor: None, .. } => Err(HoldError::Unconditional),
            _ => Ok(()),
        }
    }

    /// Returns the conditions by the names of the columns of `audit_holds`.
    fn described(&self) -> Map<String, Value> {
        let entity = self.entity.as_ref();
        let texts = [
            ("entity_type", entity.map(|entity| entity.kind.clone())),
            ("entity_id", entity.and_then(|entity| entity.id).map(|id| id.to_string())),
            ("entity_key", entity.and_then(|entity| entity.key.clone())),
            ("tenant", self.tenant.clone()),
            ("event_type", self.event.clone()),
            ("event_actor", self.actor.clone()),
        ];
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect()
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entity = self.entity.as_ref().map(|entity| {
            let key = entity.key.clone().or_else(|| entity.id.map(|id| id.to_string()));
            (entity.kind.as_str(), key.unwrap_or_default())
        });
        f.write_str(&scope(entity, self.tenant.as_deref(), self.event.as_deref(), self.actor.as_deref()))
    }
}

/// Returns conditions in words.
fn scope(entity: Option<(&str, String)>, tenant: Option<&str>, event: Option<&str>, actor: Option<&str>) -> String {
    let parts = [
        entity.map(|(kind, key)| format!("{kind}:{key}")),
        event.map(|event| format!("events {event}")),
        tenant.map(|tenant| format!("tenant {tenant}")),
        actor.map(|actor| format!("actor {actor}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Adds a hold, unless one with the same conditions is in force.
pub(crate) async fn add(pool: &PgPool, hold: &Hold, reason: &str, actor: Option<&str>) -> Result<AddedHold, Failure> {
    hold.check()?;
    let reason = without_nul(reason);
    if reason.trim().is_empty() {
        return Err(HoldError::NoReason.into());
    }
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    // Of two that add the same, the second finds the first. Prunes and forgets wait.
    transaction.execute("LOCK TABLE audit_holds IN SHARE ROW EXCLUSIVE MODE").await?;
    let mut data = hold.described();
    let same = "SELECT id FROM audit_holds h WHERE lifted_at IS NULL AND \
         jsonb_strip_nulls(jsonb_build_object('entity_type', entity_type, 'entity_id', entity_id, 'entity_key', entity_key, \
         'tenant', tenant, 'event_type', event_type, 'event_actor', event_actor)) = $1 ORDER BY created_at LIMIT 1";
    let same: Option<Uuid> =
        sqlx::query_scalar(same).bind(Value::Object(data.clone())).fetch_optional(&mut *transaction).await?;
    if let Some(id) = same {
        transaction.rollback().await?;
        return Ok(AddedHold { id, is_new: false, events: count(&mut connection, id).await? });
    }
    let id = ids::event_id(clock::micros_now());
    let user: String = sqlx::query_scalar("SELECT session_user::text").fetch_one(&mut *transaction).await?;
    let actor = without_nul(actor.unwrap_or(&user)).into_owned();
    let entity = hold.entity.as_ref();
    sqlx::query(
        "INSERT INTO audit_holds (id, entity_type, entity_id, entity_key, tenant, event_type, event_actor, reason, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id)
    .bind(entity.map(|entity| &entity.kind))
    .bind(entity.and_then(|entity| entity.id))
    .bind(entity.and_then(|entity| entity.key.as_ref()))
    .bind(&hold.tenant)
    .bind(&hold.event)
    .bind(&hold.actor)
    .bind(&*reason)
    .bind(&actor)
    .execute(&mut *transaction)
    .await?;
    data.insert("hold".into(), id.to_string().into());
    data.insert("reason".into(), reason.into());
    data.insert("database_user".into(), user.into());
    let event = ids::event_id(clock::micros_now());
    system_event::record(&mut transaction, event, HELD, &actor, &Value::Object(data)).await?;
    transaction.commit().await?;
    Ok(AddedHold { id, is_new: true, events: count(&mut connection, id).await? })
}

/// Lifts a hold.
pub(crate) async fn lift(pool: &PgPool, id: Uuid, reason: &str, actor: Option<&str>) -> Result<(), Failure> {
    let reason = without_nul(reason);
    if reason.trim().is_empty() {
        return Err(HoldError::NoReason.into());
    }
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let found: Option<(Option<Timestamp>, Option<String>)> =
        sqlx::query_as("SELECT lifted_at, lifted_by FROM audit_holds WHERE id = $1 FOR UPDATE")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
    match found {
        None => return Err(HoldError::Unknown(id).into()),
        Some((Some(at), by)) => {
            return Err(HoldError::Lifted { id, at, by: by.unwrap_or_default() }.into());
        }
        Some(_) => {}
    }
    let user: String = sqlx::query_scalar("SELECT session_user::text").fetch_one(&mut *transaction).await?;
    let actor = without_nul(actor.unwrap_or(&user)).into_owned();
    // The trigger of audit_holds asks for the event.
    let data = serde_json::json!({"hold": id, "reason": reason, "database_user": user});
    system_event::record(&mut transaction, ids::event_id(clock::micros_now()), RELEASED, &actor, &data).await?;
    sqlx::query("UPDATE audit_holds SET lifted_at = now(), lifted_by = $2, lift_reason = $3 WHERE id = $1")
        .bind(id)
        .bind(&actor)
        .bind(&*reason)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// A row of `audit_holds`.
#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    entity_type: Option<String>,
    entity_id: Option<Uuid>,
    entity_key: Option<String>,
    tenant: Option<String>,
    event_type: Option<String>,
    event_actor: Option<String>,
    reason: String,
    actor: String,
    created_at: Timestamp,
    lifted_at: Option<Timestamp>,
    lifted_by: Option<String>,
    lift_reason: Option<String>,
}

/// Returns the holds in force, oldest first, or all of them.
pub(crate) async fn list(pool: &PgPool, with_lifted: bool) -> Result<Vec<HoldStatus>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM audit_holds WHERE lifted_at IS NULL OR $1 ORDER BY created_at, id")
            .bind(with_lifted)
            .fetch_all(&mut *connection)
            .await?;
    let mut holds = Vec::new();
    for row in rows {
        let events = count(&mut connection, row.id).await?;
        let key = row.entity_key.or_else(|| row.entity_id.map(|id| id.to_string()));
        let entity = row.entity_type.as_deref().zip(key);
        let lifted = row.lifted_at.map(|at| LiftedHold {
            at,
            by: row.lifted_by.unwrap_or_default(),
            reason: row.lift_reason.unwrap_or_default(),
        });
        holds.push(HoldStatus {
            id: row.id,
            scope: scope(entity, row.tenant.as_deref(), row.event_type.as_deref(), row.event_actor.as_deref()),
            reason: row.reason,
            actor: row.actor,
            since: row.created_at,
            lifted,
            events,
        });
    }
    Ok(holds)
}

/// Counts the events of a hold, up to a limit of events and of time.
async fn count(connection: &mut PgConnection, id: Uuid) -> Result<Option<u64>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    transaction.execute("SET LOCAL statement_timeout TO '2s'").await?;
    let sql = "SELECT count(*) FROM (SELECT FROM audit_holds h, audit_events e WHERE h.id = $1 AND audit_is_held(h.entity_type, \
         h.entity_id, h.entity_key, h.tenant, h.event_type, h.event_actor, e.entity_type, e.entity_id, e.data, e.targets, e.tenant, \
         e.event_type, e.actor) LIMIT $2) found";
    let counted: Result<i64, _> = sqlx::query_scalar(sql).bind(id).bind(COUNTED).fetch_one(&mut *transaction).await;
    match counted {
        Ok(events) => Ok(Some(events.cast_unsigned())),
        // The statement took too long.
        Err(error) if error.as_database_error().and_then(|error| error.code()).as_deref() == Some("57014") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the holds in force.
pub(super) async fn in_force(connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM audit_holds WHERE lifted_at IS NULL ORDER BY id").fetch_all(connection).await
}

/// Returns a hold in force that is not one of these.
pub(super) async fn added(connection: &mut PgConnection, known: &[Uuid]) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM audit_holds WHERE lifted_at IS NULL AND id <> ALL ($1) LIMIT 1")
        .bind(known)
        .fetch_optional(connection)
        .await
}

/// The setting without which a trigger refuses to account for pruned rows while a hold is in force.
pub(super) const KNOWS_HOLDS: &str = "SET LOCAL audit.holds TO '1'";

/// Returns the call that compares an event `e` with a hold of these columns.
fn is_held(hold: &str) -> String {
    format!("audit_is_held({hold}, e.entity_type, e.entity_id, e.data, e.targets, e.tenant, e.event_type, e.actor)")
}

/// The columns of a hold `h`.
const COLUMNS: &str = "h.entity_type, h.entity_id, h.entity_key, h.tenant, h.event_type, h.event_actor";

/// Returns the condition that a hold `h` of `audit_holds` keeps an event `e`.
pub(super) fn keeps() -> String {
    format!("h.lifted_at IS NULL AND {}", is_held(COLUMNS))
}

/// Returns the condition that an event `e` is held: by a hold in force, by an entity in `$1`, `$2` and
/// `$3`, or because it accounts for what happened to the trail.
pub(super) fn held() -> String {
    let given = is_held("h.kind, h.id, h.name, NULL, NULL, NULL");
    format!(
        "(e.event_type IN ('{PRUNED}', '{FORGOTTEN}', '{HELD}', '{RELEASED}', '{REIMPORTED}') \
         OR EXISTS (SELECT FROM audit_holds h WHERE {}) \
         OR EXISTS (SELECT FROM unnest($1::text[], $2::uuid[], $3::text[]) AS h (kind, id, name) WHERE {given}))",
        keeps()
    )
}
