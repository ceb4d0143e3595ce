//! The facts about an event by which a policy decides.

use crate::event::Outcome;
use crate::record::EventRef;
use uuid::Uuid;

/// The facts about an event by which a policy decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) event_type: &'a str,
    pub(crate) entity_type: &'a str,
    pub(crate) entity_id: Option<Uuid>,
    pub(crate) entity_key: Option<&'a str>,
    pub(crate) actor: &'a str,
    /// The actor is marked as personal, so that no report may name it.
    pub(crate) is_personal_actor: bool,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) correlation: Uuid,
    pub(crate) outcome: Outcome,
}

impl<'a> From<&EventRef<'a>> for About<'a> {
    fn from(event: &EventRef<'a>) -> Self {
        Self {
            event_type: event.event_type,
            entity_type: event.entity_type,
            entity_id: event.entity_id.filter(|_| event.further.entity_key.is_none()),
            entity_key: event.further.entity_key,
            actor: event.actor,
            is_personal_actor: false,
            tenant: event.further.tenant,
            correlation: event.correlation_id.unwrap_or(event.id),
            outcome: event.outcome,
        }
    }
}
