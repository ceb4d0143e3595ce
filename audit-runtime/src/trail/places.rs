//! Places of an event where a text is looked for.

use super::folded::Folded;
use crate::capture::nul::without_nul;
use crate::event::bounded;
use crate::record::Entity;
use uuid::Uuid;

/// The part of an event in which a text was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The event's id.
    Id,
    /// The entity: its key or its id.
    Entity,
    /// A further entity: its key or its id.
    Target,
    /// The request or process.
    Correlation,
    /// The event within whose call it happened.
    Cause,
    /// The batch.
    Batch,
    /// The actor.
    Actor,
    /// The tenant.
    Tenant,
    /// The event type.
    EventType,
    /// A value or a name in the data or the context, or a part of another column.
    Value,
}

/// A place that an index serves, and what it has to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Indexed {
    Id(Uuid),
    Entity(Uuid),
    /// The key of an entity as older versions stored it, in the data.
    OldKey(String),
    TargetId(Uuid),
    TargetKey(String),
    Correlation(Uuid),
    Cause(Uuid),
    Batch(Uuid),
    Actor(String),
    Tenant(String),
    EventType(String),
}

impl Indexed {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Id(_) => Place::Id,
            Self::Entity(_) | Self::OldKey(_) => Place::Entity,
            Self::TargetId(_) | Self::TargetKey(_) => Place::Target,
            Self::Correlation(_) => Place::Correlation,
            Self::Cause(_) => Place::Cause,
            Self::Batch(_) => Place::Batch,
            Self::Actor(_) => Place::Actor,
            Self::Tenant(_) => Place::Tenant,
            Self::EventType(_) => Place::EventType,
        }
    }

    /// Returns whether its index ends with the minute of an event.
    pub(super) fn is_ordered_by_minute(&self) -> bool {
        matches!(self, Self::Entity(_) | Self::Correlation(_) | Self::Actor(_) | Self::EventType(_))
    }

    /// Returns the places of a text, given the entities that have it for a key.
    pub(super) fn of(text: &str, entities: &[Uuid]) -> Vec<Self> {
        let mut places = Vec::new();
        let id = Uuid::try_parse(text.trim()).ok();
        if let Some(id) = id {
            places.extend([Self::Id(id), Self::Entity(id)]);
        }
        places.extend(entities.iter().copied().map(Self::Entity));
        let key = bounded(text).into_owned();
        let stored = without_nul(text).into_owned();
        places.push(Self::OldKey(text.to_owned()));
        places.extend(id.into_iter().chain(entities.iter().copied()).map(Self::TargetId));
        places.push(Self::TargetKey(key.clone()));
        if let Some(id) = id {
            places.extend([Self::Correlation(id), Self::Cause(id), Self::Batch(id)]);
        }
        places.extend([Self::Actor(stored.clone()), Self::Tenant(key), Self::EventType(stored)]);
        places
    }
}

/// Returns the ids that entities of these types would have, if the text is the key of one, or the
/// type and the key.
pub(super) fn entities(text: &str, types: &[String]) -> Vec<Uuid> {
    let named = text.split_once(':').or_else(|| text.split_once(' '));
    let named = named.map(|(kind, key)| Entity::new(kind.to_owned(), key));
    let keys = types.iter().map(|kind| Entity::new(kind.clone(), text));
    named.into_iter().chain(keys).flat_map(|entity| entity.ids()).collect()
}

/// A text that has to be in an event, by a condition that some other events satisfy, too.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Containing {
    /// A regular expression over the texts of all columns.
    pub(super) pattern: String,
    /// Whether it may be a part of an id.
    pub(super) of_ids: bool,
}

impl Containing {
    pub(super) fn new(text: &Folded) -> Self {
        Self { pattern: text.pattern(), of_ids: text.may_be_of_an_id() }
    }
}
