//! The id of the entity that an event is about: a UUID, or the key that a company knows it by.
//!
//! ```text
//! kind        v5 UUID of (NAMESPACE_URL, "urn:audit:" and the entity type)
//! entity_id   v5 UUID of (kind, key)
//! ```

mod key;
mod targets;
mod tenant;

pub(crate) use key::written;
pub use targets::IntoTargets;
pub use tenant::IntoTenant;

use sha2::{Digest, Sha256};
use std::borrow::Cow;
use uuid::Uuid;

/// The longest key in bytes that is stored as it is.
pub(crate) const MAX_KEY: usize = 1_000;

/// The identity of the entity an event is about.
///
/// `#[derive(EntityId)]` makes a newtype an id: its field is one.
///
/// ```
/// use audit_runtime::{EntityId, IntoEntityId};
/// use uuid::Uuid;
///
/// #[derive(EntityId)]
/// struct AccountId(i64);
///
/// assert_eq!(AccountId(42).to_entity_id(), EntityId::Key("42".into()));
/// assert_eq!(("DE", "INV/7").to_entity_id(), EntityId::Key(r"DE/INV\/7".into()));
/// assert_eq!("00000000-0000-0000-0000-000000000000".to_entity_id(), EntityId::Id(Uuid::nil()));
/// assert_eq!(None::<i64>.to_entity_id(), EntityId::None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EntityId {
    /// The event has no entity, and the column is `NULL`.
    #[default]
    None,
    /// The id.
    Id(Uuid),
    /// A key that is no UUID: the column `entity_key`. The column `entity_id` is then
    /// [`EntityId::named`] of the entity type and the key.
    Key(String),
}

impl EntityId {
    /// Returns the id of an entity whose key is not a UUID.
    ///
    /// It is a version 5 UUID (RFC 9562) of `kind` and `key`, the same for the same pair at all
    /// times. It is the `entity_id` of each event about the entity type `kind` with that key.
    ///
    /// ```
    /// use audit_runtime::EntityId;
    /// let id = EntityId::named("account", "DE89 3704 0044 0532 0130 00");
    /// assert_eq!(id, EntityId::named("account", "DE89 3704 0044 0532 0130 00"));
    /// assert_ne!(id, EntityId::named("card", "DE89 3704 0044 0532 0130 00"));
    /// ```
    ///
    /// The same in SQL, with the extension `uuid-ossp`:
    ///
    /// ```sql
    /// uuid_generate_v5(uuid_generate_v5(uuid_ns_url(), 'urn:audit:account'), '42')
    /// ```
    ///
    /// In Python, `uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "urn:audit:account"), "42")`.
    #[must_use]
    pub fn named(kind: &str, key: &str) -> Self {
        Self::Id(named(kind, key))
    }
}

/// The version 5 UUID of an entity type and a key.
pub(crate) fn named(kind: &str, key: &str) -> Uuid {
    let kind = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:audit:{kind}").as_bytes());
    Uuid::new_v5(&kind, key.as_bytes())
}

/// An entity's identity as its type shows it, borrowed.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum EntityRef<'a> {
    /// The event has no entity.
    None,
    /// The id.
    Id(Uuid),
    /// A key, which is the text of a UUID or not.
    Text(&'a str),
}

impl EntityRef<'_> {
    /// Tells ids from keys: a text is an id only as the 36 characters with hyphens.
    #[inline]
    pub(crate) fn resolved(self) -> Self {
        match self {
            Self::Text(text) if text.len() == 36 => Uuid::try_parse(text).map_or(self, EntityRef::Id),
            other => other,
        }
    }

    /// Returns the owned form.
    #[must_use]
    pub fn owned(self) -> EntityId {
        match self.resolved() {
            EntityRef::None => EntityId::None,
            EntityRef::Id(id) => EntityId::Id(id),
            EntityRef::Text(key) => EntityId::Key(key.to_owned()),
        }
    }
}

/// Returns a key as it is stored: one over 1,000 bytes, or with a NUL, is known by its hash.
pub(crate) fn bounded(key: &str) -> Cow<'_, str> {
    if key.len() <= MAX_KEY && !key.contains('\0') {
        return Cow::Borrowed(key);
    }
    Cow::Owned(format!("sha256:{}", hex::encode(Sha256::digest(key))))
}

/// An entity's id or key.
///
/// It is a [`Uuid`], an integer, a text, a tuple of these, an [`EntityId`], or an `Option` of any of
/// these. Newtypes get it by `#[derive(EntityId)]`.
///
/// | type | key |
/// | --- | --- |
/// | `Uuid`, or a text of its 36 characters with hyphens | none: the event has the id itself |
/// | an integer | its decimal digits |
/// | another text | the text; over 1,000 bytes or with a NUL `sha256:` and its hash |
/// | a tuple | its parts with a `/` between; in them `\` is `\\`, `/` is `\/`; `None` is `\-` |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity id",
    label = "not a `Uuid`, an integer, a text or a tuple of these",
    note = "write `#[derive(audit_runtime::EntityId)]` on a newtype of one of these",
    note = "for another type, write a part of it, as in `id = order.id`, or implement `audit_runtime::IntoEntityId`"
)]
pub trait IntoEntityId {
    /// Returns the entity's id.
    fn to_entity_id(&self) -> EntityId;

    /// Shows the id without allocating.
    #[doc(hidden)]
    #[inline]
    fn entity_ref(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
        match self.to_entity_id() {
            EntityId::None => take(EntityRef::None),
            EntityId::Id(id) => take(EntityRef::Id(id)),
            EntityId::Key(key) => take(EntityRef::Text(&key)),
        }
    }
}

#[cfg(test)]
mod tests;
