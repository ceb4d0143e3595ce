//! An entity that is looked for: by its id, or by its key.

use super::trail_event::TrailEvent;
use crate::capture::Json;
use crate::capture::nul::without_nul;
use crate::event::{EntityRef, IntoEntityId, bounded, named};
use uuid::Uuid;

/// An entity as rows have it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entity {
    /// The column `entity_type`.
    pub(crate) kind: String,
    /// The column `entity_id`; `None` for no entity at all.
    pub(crate) id: Option<Uuid>,
    /// The column `entity_key`.
    pub(crate) key: Option<String>,
    /// The id that older versions took a text for which is no UUID here: 32 digits, braces, a URN.
    old_id: Option<Uuid>,
    /// The text in `data.$entity_id` of older versions.
    old_key: Option<String>,
}

impl Entity {
    pub(crate) fn new(kind: String, entity: &(impl IntoEntityId + ?Sized)) -> Self {
        let kind = without_nul(&kind).into_owned();
        let mut found = Self { kind, id: None, key: None, old_id: None, old_key: None };
        entity.entity_ref(&mut |entity| match entity.resolved() {
            EntityRef::None => {}
            EntityRef::Id(id) => found.id = Some(id),
            EntityRef::Text(text) => {
                let key = bounded(text).into_owned();
                found.id = Some(named(&found.kind, &key));
                found.key = Some(key);
                found.old_id = Uuid::try_parse(text).ok();
                found.old_key = Some(text.to_owned());
            }
        });
        found
    }

    /// Returns the ids under which events about it are stored.
    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.id.into_iter().chain(self.old_id).collect()
    }

    /// Returns what the data of events of older versions contain that have no id.
    pub(crate) fn old_data(&self) -> Option<Json> {
        let key = self.old_key.as_deref().filter(|_| self.old_id.is_none())?;
        Some([("$entity_id", key)].into_iter().collect())
    }

    /// Returns what the column `targets` contains of it.
    pub(crate) fn target(&self) -> Option<String> {
        let id = self.id?;
        Some(serde_json::json!([{ "type": self.kind, "id": id }]).to_string())
    }
}

impl TrailEvent {
    /// Returns whether the event is about this entity, by its id or its own key.
    ///
    /// An event that has the entity only as a further one is not about it.
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    #[must_use]
    pub fn is_about(&self, entity_type: &str, entity_id: impl IntoEntityId) -> bool {
        let entity = Entity::new(entity_type.to_owned(), &entity_id);
        let is_it = self.entity_id.map(|id| entity.ids().contains(&id));
        let is_old = || entity.old_key.as_deref().is_some_and(|key| self.data["$entity_id"] == key);
        self.entity_type == entity.kind && is_it.unwrap_or_else(is_old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_is_looked_for_by_what_every_version_stored() {
        let account = Entity::new("account".into(), &42);
        let id = named("account", "42");
        assert_eq!((account.ids(), account.key.as_deref()), (vec![id], Some("42")));
        assert_eq!(account.old_data().unwrap(), json!({"$entity_id": "42"}));
        let digits = "01935c2e7c4a7bbd8f8e2d6c5b4a3921";
        let taken_for_an_id = Entity::new("file".into(), digits);
        assert_eq!(taken_for_an_id.ids(), [named("file", digits), Uuid::parse_str(digits).unwrap()]);
        assert_eq!(taken_for_an_id.old_data(), None);
        let by_id = Entity::new("file".into(), &Uuid::nil());
        assert_eq!((by_id.ids(), by_id.old_data(), by_id.key), (vec![Uuid::nil()], None, None));
        assert!(Entity::new("file".into(), &None::<i64>).ids().is_empty());
    }
}
