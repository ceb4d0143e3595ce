//! What is recorded: the event, its outcome, and whose id it bears.

use crate::capture;
use crate::personal;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// The longest event type, in bytes.
pub const MAX_EVENT_TYPE: usize = 128;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// It returned; a fallible function returned `Ok`.
    Ok,
    /// It returned `Err`.
    Error,
    /// It panicked.
    Panicked,
    /// Its future was dropped before it was done.
    Cancelled,
    /// It is about to begin: an intent.
    Started,
    /// It had begun, and its process died, or shut its trail down, before it ended.
    Interrupted,
    /// Another program wrote a text that this library does not write: see [`TrailEvent::outcome_text`](crate::TrailEvent::outcome_text).
    Other,
}

impl Outcome {
    const ALL: [Self; 6] = [Self::Ok, Self::Error, Self::Panicked, Self::Cancelled, Self::Started, Self::Interrupted];

    /// Returns the text in the column `outcome`; of any other text, `other`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
            Self::Started => "started",
            Self::Interrupted => "interrupted",
            Self::Other => "other",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reports a text that is not an outcome of this library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome {0:?}: expected ok, error, panicked, cancelled, started or interrupted")]
pub struct UnknownOutcome(String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| UnknownOutcome(text.into()))
    }
}

/// Whether a text is an event type: `noun.verb`, lower case, digits and underscores, at most
/// [`MAX_EVENT_TYPE`] bytes.
#[must_use]
pub const fn is_event_type(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut dots = 0;
    let mut begins = true;
    while at < bytes.len() {
        match bytes[at] {
            b'a'..=b'z' => begins = false,
            b'0'..=b'9' | b'_' if !begins => {}
            b'.' if !begins => {
                dots += 1;
                begins = true;
            }
            _ => return false,
        }
        at += 1;
    }
    dots > 0 && !begins && bytes.len() <= MAX_EVENT_TYPE
}

/// What identifies the entity an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EntityId {
    /// There is none; the column is `NULL`.
    #[default]
    None,
    /// The id.
    Id(Uuid),
    /// A text that should have been a UUID. The column is `NULL`, the text is kept in `data.$entity_id`.
    NotAnId(String),
}

impl EntityId {
    /// The id of an entity that has another key than a UUID: a version 5 UUID (RFC 9562) of `kind` and `key`, the
    /// same for the same pair at all times.
    ///
    /// ```
    /// use audit_runtime::EntityId;
    /// let id = EntityId::named("account", "DE89 3704 0044 0532 0130 00");
    /// assert_eq!(id, EntityId::named("account", "DE89 3704 0044 0532 0130 00"));
    /// assert_ne!(id, EntityId::named("card", "DE89 3704 0044 0532 0130 00"));
    /// ```
    #[must_use]
    pub fn named(kind: &str, key: &str) -> Self {
        let kind = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:audit:{kind}").as_bytes());
        Self::Id(Uuid::new_v5(&kind, key.as_bytes()))
    }
}

/// What can be the `id` of an event's entity: a [`Uuid`], a text that is one, an [`EntityId`], an `Option` of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity id",
    label = "neither a `Uuid` nor a text that is one",
    note = "write a `Uuid`, a text, an `Option` of these, or `EntityId::named(kind, key)` for any other key",
    note = "for a type of your own, implement `audit_runtime::IntoEntityId`"
)]
pub trait IntoEntityId {
    /// The entity's id.
    fn to_entity_id(&self) -> EntityId;
}

impl IntoEntityId for EntityId {
    fn to_entity_id(&self) -> EntityId {
        self.clone()
    }
}

impl IntoEntityId for Uuid {
    fn to_entity_id(&self) -> EntityId {
        EntityId::Id(*self)
    }
}

impl IntoEntityId for str {
    fn to_entity_id(&self) -> EntityId {
        Uuid::parse_str(self).map_or_else(|_| EntityId::NotAnId(self.to_owned()), EntityId::Id)
    }
}

impl IntoEntityId for String {
    fn to_entity_id(&self) -> EntityId {
        self.as_str().to_entity_id()
    }
}

impl<T: IntoEntityId> IntoEntityId for Option<T> {
    fn to_entity_id(&self) -> EntityId {
        self.as_ref().map_or(EntityId::None, T::to_entity_id)
    }
}

impl<T: IntoEntityId + ?Sized> IntoEntityId for &T {
    fn to_entity_id(&self) -> EntityId {
        T::to_entity_id(self)
    }
}

impl<T: IntoEntityId + ?Sized> IntoEntityId for &mut T {
    fn to_entity_id(&self) -> EntityId {
        T::to_entity_id(self)
    }
}

impl<T: IntoEntityId + ?Sized> IntoEntityId for Box<T> {
    fn to_entity_id(&self) -> EntityId {
        T::to_entity_id(self)
    }
}

impl<T: IntoEntityId + ?Sized> IntoEntityId for Arc<T> {
    fn to_entity_id(&self) -> EntityId {
        T::to_entity_id(self)
    }
}

/// Why an event is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The event type is not of the form `noun.verb`.
    #[error(
        "{0:?} is no event type; write noun.verb in lower case, as in \"order.submitted\", at most {MAX_EVENT_TYPE} bytes"
    )]
    EventType(String),
    /// The data cannot be serialised.
    #[error("the data of {event_type} cannot be serialised: {message}")]
    Data {
        /// The event's type.
        event_type: String,
        /// What the serialisation said.
        message: String,
    },
    /// The journal does not hold such a time.
    #[error("cannot record an event at {0}: the journal holds times from 4714 BC to the year 294246")]
    Time(Timestamp),
    /// The data is not a JSON object.
    #[error("the data of {0} is no JSON object; give a struct or a map with text keys")]
    NotAnObject(String),
}

/// An event recorded by hand, for what has no type and no function of its own.
///
/// ```
/// use audit_runtime::Event;
/// use serde_json::json;
/// use uuid::Uuid;
///
/// let event = Event::new("order.accepted")
///     .entity("order", Uuid::now_v7())
///     .actor("broker_service")
///     .data(&json!({"ticker": "AAPL", "broker_order_id": "B-1"}))?;
/// # Ok::<(), audit_runtime::EventError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Event {
    pub(crate) event_type: Cow<'static, str>,
    pub(crate) entity_type: Cow<'static, str>,
    pub(crate) entity_id: EntityId,
    pub(crate) actor: Option<String>,
    pub(crate) data: String,
    /// Marked fields and whose they are, as the inside of an object.
    pub(crate) personal: Option<String>,
    /// Data or these hold what is marked.
    pub(crate) is_personal: bool,
    pub(crate) created_at: Option<Timestamp>,
}

impl Event {
    /// An event of this type, about the entity type named before the type's first dot, without an id or data.
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
            entity_id: EntityId::None,
            actor: None,
            data: "{}".into(),
            personal: None,
            is_personal: false,
            created_at: None,
        }
    }

    /// The entity the event is about.
    #[must_use]
    pub fn entity(mut self, entity_type: impl Into<Cow<'static, str>>, id: impl IntoEntityId) -> Self {
        self.entity_type = entity_type.into();
        self.entity_id = id.to_entity_id();
        self
    }

    /// Who did it; by default the context's actor, else the handle's, else `system`.
    #[must_use]
    pub fn actor(mut self, actor: impl fmt::Display) -> Self {
        self.actor = Some(actor.to_string());
        self
    }

    /// What belongs to it: anything that serialises as a JSON object.
    ///
    /// # Errors
    /// The value cannot be serialised, or not as an object.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Result<Self, EventError> {
        self.data = self.object(data)?;
        Ok(self)
    }

    /// What belongs to it beside its [`data`](Self::data) and is personal: each field of this object is encrypted by the key of
    /// `subject`, whose data it is, until [`forget`](crate::forget) destroys that.
    ///
    /// ```
    /// # use audit_runtime::Event;
    /// # use serde_json::json;
    /// let event = Event::new("account.opened")
    ///     .data(&json!({"currency": "EUR"}))?
    ///     .personal("customer:42", &json!({"email": "ann@example.com"}))?;
    /// # Ok::<(), audit_runtime::EventError>(())
    /// ```
    ///
    /// # Errors
    /// The value cannot be serialised, or not as an object.
    pub fn personal<T: Serialize + ?Sized>(mut self, subject: impl fmt::Display, data: &T) -> Result<Self, EventError> {
        let json = self.object(data)?;
        self.personal = Some(personal::marked_fields(&subject.to_string(), &json));
        self.is_personal = true;
        Ok(self)
    }

    fn object<T: Serialize + ?Sized>(&self, data: &T) -> Result<String, EventError> {
        let json = capture::to_json(data)
            .map_err(|message| EventError::Data { event_type: self.event_type.to_string(), message })?;
        if json.starts_with('{') { Ok(json) } else { Err(EventError::NotAnObject(self.event_type.to_string())) }
    }

    /// When it happened; by default when it is recorded. Kept to the microsecond.
    #[must_use]
    pub fn at(mut self, created_at: impl Into<Timestamp>) -> Self {
        self.created_at = Some(created_at.into());
        self
    }
}

/// What [`Audit::record`](crate::Audit::record) takes.
pub trait AuditEvent {
    /// The event to record.
    ///
    /// # Errors
    /// The event's data cannot be serialised.
    fn to_event(&self) -> Result<Event, EventError>;
}

impl AuditEvent for Event {
    fn to_event(&self) -> Result<Event, EventError> {
        Ok(self.clone())
    }
}

impl<T: AuditEvent + ?Sized> AuditEvent for &T {
    fn to_event(&self) -> Result<Event, EventError> {
        T::to_event(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_follow_the_grammar() {
        for good in ["order.submitted", "a.b", "order.duplicate_prevented", "a1.b2.c3", "k8s.pod.deleted"] {
            assert!(is_event_type(good), "{good}");
        }
        let long = format!("a.{}", "b".repeat(127));
        for bad in [
            "",
            ".",
            "order",
            "order.",
            ".order",
            "Order.submitted",
            "order..x",
            "order.1x",
            "a b.c",
            "a.b-c",
            "ä.b",
            &long,
        ] {
            assert!(!is_event_type(bad), "{bad}");
        }
    }

    #[test]
    fn a_text_that_is_no_uuid_is_kept_as_what_it_is() {
        let id = Uuid::now_v7();
        assert_eq!(id.to_string().to_entity_id(), EntityId::Id(id));
        assert_eq!(Some("B-1").to_entity_id(), EntityId::NotAnId("B-1".into()));
        assert_eq!(None::<Uuid>.to_entity_id(), EntityId::None);
        assert_eq!((&&Some(&id)).to_entity_id(), EntityId::Id(id));
    }

    #[test]
    fn data_that_is_no_object_is_an_error_that_says_so() {
        let error = Event::new("order.accepted").data(&[1, 2]).unwrap_err();
        assert!(error.to_string().contains("no JSON object"), "{error}");
    }
}
