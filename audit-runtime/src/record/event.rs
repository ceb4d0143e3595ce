//! An event recorded by hand, and the types that can become one.

use super::payload::Further;
use crate::capture;
use crate::capture::personal;
use crate::error::EventError;
use crate::event::{IntoEntityId, IntoTargets, IntoTenant, Timestamp};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use uuid::Uuid;

/// An event recorded by hand, about facts without a type or function of their own.
///
/// ```
/// use audit_runtime::Event;
/// use serde_json::json;
/// use uuid::Uuid;
///
/// let event = Event::new("order.accepted")
///     .entity("order", Uuid::now_v7())
///     .actor("broker_service")
///     .data(&json!({"ticker": "AAPL", "broker_order_id": "B-1"}));
/// ```
#[derive(Debug, Clone)]
pub struct Event {
    pub(crate) event_type: Cow<'static, str>,
    pub(crate) entity_type: Cow<'static, str>,
    /// The id, unless the entity has a key.
    pub(crate) entity_id: Option<Uuid>,
    pub(crate) further: Further,
    pub(crate) actor: Option<String>,
    pub(crate) data: String,
    /// Marked fields with their subjects, as the inside of an object.
    pub(crate) personal: Option<String>,
    /// Data or these hold what is marked.
    pub(crate) is_personal: bool,
    pub(crate) created_at: Option<Timestamp>,
    /// The first mistake in it, which recording it reports.
    pub(crate) error: Option<EventError>,
}

impl Event {
    /// Creates an event of this type, without an id or data.
    ///
    /// Its entity type is the part of the event type before the first dot.
    #[must_use]
    pub fn new(event_type: impl Into<Cow<'static, str>>) -> Self {
        let event_type = event_type.into();
        let entity_type = match &event_type {
            Cow::Borrowed(text) => Cow::Borrowed(text.split('.').next().unwrap_or(text)),
            Cow::Owned(text) => Cow::Owned(text.split('.').next().unwrap_or(text).to_owned()),
        };
        Self {
            event_type,
            entity_type,
            entity_id: None,
            further: Further::default(),
            actor: None,
            data: "{}".into(),
            personal: None,
            is_personal: false,
            created_at: None,
            error: None,
        }
    }

    /// Sets the entity the event is about.
    ///
    /// An id is a `Uuid` or any key: see [`IntoEntityId`].
    ///
    /// ```
    /// # use audit_runtime::Event;
    /// let event = Event::new("invoice.paid").entity("invoice", "INV-2026-0007");
    /// ```
    #[must_use]
    pub fn entity(mut self, entity_type: impl Into<Cow<'static, str>>, id: impl IntoEntityId) -> Self {
        self.entity_type = entity_type.into();
        id.entity_ref(&mut |entity| self.entity_id = self.further.set_entity(entity));
        self
    }

    /// Adds a further entity that the event is about.
    ///
    /// ```
    /// # use audit_runtime::Event;
    /// let event = Event::new("transfer.booked").entity("transfer", 7).target("account", 42).target("account", 43);
    /// ```
    ///
    /// Of a list, each is a further entity, as in [`targets`](Self::targets).
    #[must_use]
    pub fn target(mut self, entity_type: &str, id: impl IntoTargets) -> Self {
        id.each_entity(&mut |entity| self.further.push(entity_type, entity));
        self
    }

    /// Adds further entities of one type that the event is about.
    ///
    /// An event has 1,000 further entities at most. Where there are more, `data.$targets` has their
    /// number.
    ///
    /// ```
    /// # use audit_runtime::Event;
    /// let event = Event::new("batch.settled").targets("invoice", 1..=3);
    /// ```
    #[must_use]
    pub fn targets(mut self, entity_type: &str, ids: impl IntoIterator<Item: IntoEntityId>) -> Self {
        for id in ids {
            id.entity_ref(&mut |entity| self.further.push(entity_type, entity));
        }
        self
    }

    /// Sets the tenant whose data the event is about; by default the context's.
    #[must_use]
    pub fn tenant(mut self, tenant: impl IntoTenant) -> Self {
        tenant.tenant_ref(&mut |tenant| self.further.set_tenant(tenant));
        self
    }

    /// Sets the actor. The default is the context's actor, else the handle's, else `system`.
    #[must_use]
    pub fn actor(mut self, actor: impl fmt::Display) -> Self {
        self.actor = Some(actor.to_string());
        self
    }

    /// Sets the event's data: any value that serialises as a JSON object.
    ///
    /// If the value does not serialise as an object, [`error`](Self::error) reports it. The event
    /// is then not recorded: [`Audit::record`](crate::Audit::record) returns that error.
    #[must_use]
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        match self.object(data) {
            Ok(data) => self.data = data,
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    /// Sets the personal data of the event, which are recorded beside its [`data`](Self::data).
    ///
    /// Each field of this object is encrypted by the key of `subject`, whose data it is. The field
    /// can be read until [`Admin::forget`](crate::admin::Admin) destroys that key.
    ///
    /// ```
    /// # use audit_runtime::Event;
    /// # use serde_json::json;
    /// let event = Event::new("account.opened")
    ///     .data(&json!({"currency": "EUR"}))
    ///     .personal("customer:42", &json!({"email": "ann@example.com"}));
    /// ```
    ///
    /// Data of a further subject are added by another call.
    ///
    /// A value that cannot be serialised as an object is an [`error`](Self::error), as in
    /// [`data`](Self::data).
    #[must_use]
    pub fn personal<T: Serialize + ?Sized>(mut self, subject: impl fmt::Display, data: &T) -> Self {
        match self.object(data) {
            Ok(json) => {
                let fields = personal::marked_fields(&subject.to_string(), &json);
                match &mut self.personal {
                    Some(others) if !fields.is_empty() => others.extend([",", &fields]),
                    Some(_) => {}
                    none => *none = Some(fields).filter(|fields| !fields.is_empty()),
                }
                self.is_personal = true;
            }
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    /// Returns the first invalid setting, for which the event is not recorded.
    #[must_use]
    pub fn error(&self) -> Option<&EventError> {
        self.error.as_ref()
    }

    fn object<T: Serialize + ?Sized>(&self, data: &T) -> Result<String, EventError> {
        let json = capture::to_json(data)
            .map_err(|message| EventError::Data { event_type: self.event_type.to_string(), message })?;
        if json.starts_with('{') { Ok(json) } else { Err(EventError::NotAnObject(self.event_type.to_string())) }
    }

    /// Sets when the event happened, to the microsecond. The default is the time of its recording.
    #[must_use]
    pub fn at(mut self, created_at: impl Into<Timestamp>) -> Self {
        self.created_at = Some(created_at.into());
        self
    }
}

/// A type that converts into an event for [`Audit::record`](crate::Audit::record).
///
/// `#[derive(AuditEvent)]` implements it for a type and for references to it.
pub trait AuditEvent {
    /// Returns the event to record.
    fn into_event(self) -> Event;
}

impl AuditEvent for Event {
    fn into_event(self) -> Event {
        self
    }
}

impl AuditEvent for &Event {
    fn into_event(self) -> Event {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_is_no_object_is_an_error_that_says_so() {
        let event = Event::new("order.accepted").data(&[1, 2]).data(&[3]);
        let error = event.error().map(ToString::to_string).unwrap_or_default();
        assert!(error.contains("must be a JSON object"), "{error}");
    }
}
