//! Which rows a prune is about, among those that are old enough.

use crate::capture::nul::without_nul;
use crate::event::{IntoEntityId, IntoTenant, written};
use crate::postgres::glob::like;
use crate::record::Entity;
use serde_json::{Value, json};
use std::fmt;
use uuid::Uuid;

/// Selects the events of a prune that match all of its conditions.
///
/// Unlike a [`Hold`](super::Hold), an entity selects the events that are about it, and no others.
///
/// ```
/// use audit_runtime::admin::PruneFilter;
///
/// let filter = PruneFilter::new().event("customer.viewed").tenant("acme");
/// assert_eq!(filter.to_string(), "events customer.viewed, tenant acme");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "a filter does nothing until a prune has it"]
pub struct PruneFilter {
    events: Vec<String>,
    tenant: Option<String>,
    entity_type: Option<String>,
    entity: Option<Entity>,
    actor: Option<String>,
    /// An entity or a tenant was given that is none, which no event is about.
    is_empty: bool,
}

impl PruneFilter {
    /// Creates a filter that selects all events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects events of this type, in which `*` stands for any text: `customer.*`.
    ///
    /// Called again, it adds a type.
    pub fn event(mut self, event_type: impl AsRef<str>) -> Self {
        self.events.push(without_nul(event_type.as_ref()).into_owned());
        self
    }

    /// Selects events about data of this tenant.
    pub fn tenant(mut self, tenant: impl IntoTenant) -> Self {
        tenant.tenant_ref(&mut |tenant| self.tenant = written(tenant));
        self.is_empty |= self.tenant.is_none();
        self
    }

    /// Selects events about entities of this type.
    pub fn entity_type(mut self, entity_type: impl AsRef<str>) -> Self {
        self.entity_type = Some(without_nul(entity_type.as_ref()).into_owned());
        self
    }

    /// Selects events about this entity, by its id or by its own key.
    pub fn entity(mut self, entity_type: impl Into<String>, id: impl IntoEntityId) -> Self {
        let entity = Entity::new(entity_type.into(), &id);
        self.is_empty |= entity.id.is_none();
        self.entity = Some(entity);
        self
    }

    /// Selects events by this actor.
    pub fn actor(mut self, actor: impl AsRef<str>) -> Self {
        self.actor = Some(without_nul(actor.as_ref()).into_owned());
        self
    }

    /// Returns the filter as the event of a prune states it.
    pub(super) fn stated(&self) -> Value {
        let entity =
            self.entity.as_ref().map(|entity| json!({"type": entity.kind, "id": entity.id, "key": entity.key}));
        json!({
            "events": self.events, "tenant": self.tenant, "entity_type": self.entity_type, "entity": entity, "actor": self.actor,
            "empty": self.is_empty,
        })
    }

    /// Returns the event types as LIKE has them, from what [`stated`](Self::stated) returns.
    fn operands(stated: &Value) -> Value {
        let events: Vec<String> =
            stated["events"].as_array().into_iter().flatten().filter_map(|event| event.as_str().map(like)).collect();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let entity = &stated["entity"];
        let id = entity["id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        let (kind, key) = (text(&entity["type"]), text(&entity["key"]));
        // Another program may have written something else than a filter.
        let is_entity = entity.is_null() || kind.is_some() && id.is_some();
        json!({
            "events": (!events.is_empty()).then_some(events), "tenant": text(&stated["tenant"]), "actor": text(&stated["actor"]),
            "entity_type": text(&stated["entity_type"]), "kind": kind, "id": id, "name": key.or(id.map(|id| id.to_string())),
            "is_empty": stated["empty"] == true || !is_entity,
        })
    }

    /// Returns the value of a parameter for [`matches`], of filters as events state them.
    pub(super) fn parameter<'a>(stated: impl IntoIterator<Item = &'a Value>) -> Value {
        stated.into_iter().map(Self::operands).collect()
    }
}

impl fmt::Display for PruneFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entity = self.entity.as_ref().map(|entity| {
            let key = entity.key.clone().or_else(|| entity.id.map(|id| id.to_string()));
            format!("{}:{}", entity.kind, key.unwrap_or_default())
        });
        let parts = [
            (!self.events.is_empty()).then(|| format!("events {}", self.events.join(" or "))),
            self.tenant.as_ref().map(|tenant| format!("tenant {tenant}")),
            self.entity_type.as_ref().map(|kind| format!("entities of type {kind}")),
            entity.map(|entity| format!("entity {entity}")),
            self.actor.as_ref().map(|actor| format!("actor {actor}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "all events" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// Returns the condition that an event `e` matches one of the filters in a parameter.
pub(super) fn matches(parameter: &str) -> String {
    format!(
        "EXISTS (SELECT FROM jsonb_to_recordset({parameter}::jsonb) AS f (events text[], tenant text, actor text, entity_type text, kind text, \
         id uuid, name text, is_empty boolean) WHERE NOT f.is_empty AND (f.events IS NULL OR e.event_type LIKE ANY (f.events)) \
         AND (f.tenant IS NULL OR e.tenant = f.tenant) AND (f.actor IS NULL OR e.actor = f.actor) \
         AND (f.entity_type IS NULL OR e.entity_type = f.entity_type) AND (f.kind IS NULL OR e.entity_type = f.kind \
         AND (e.entity_id = f.id OR e.entity_id IS NULL AND e.data ->> '$entity_id' = f.name)))"
    )
}
