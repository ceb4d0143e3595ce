//! The section behind the texts of some events: the entity's key, the tenant, further entities.
//!
//! ```text
//! further  key bytes u32 | tenant bytes u32 | key | tenant | target*
//! target   type bytes u16 | 0 u8 | type | id [16]
//!          type bytes u16 | 1 u8 | type | key bytes u16 | key
//! ```
//!
//! The length 0xffff_ffff stands for an absent text. Keys are as they are stored. The reader of a
//! record computes their ids, so that no call pays for two hashes.

use crate::capture::nul::without_nul;
use crate::event::{EntityRef, bounded, named};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

/// The most further entities that an event has; its data then have their count.
pub(crate) const MAX_TARGETS: usize = 1_000;
/// The field of an event's data that says how many there were.
pub(crate) const TARGETS_NOTE: &str = "$targets";

const NONE: u32 = u32::MAX;
const IS_ID: u8 = 0;
const IS_KEY: u8 = 1;

/// The further parts of an event, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FurtherRef<'a> {
    pub(crate) entity_key: Option<&'a str>,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) targets: Targets<'a>,
}

/// Further entities as they are in a record, well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Targets<'a>(&'a [u8]);

/// One of them. It is serialised in the form of the column `targets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Uuid,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
}

impl<'a> FurtherRef<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the section; `None` if it is malformed.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (key, rest) = bytes.split_first_chunk()?;
        let (tenant, mut rest) = rest.split_first_chunk()?;
        let mut text = |length: &[u8; 4]| -> Option<Option<&'a str>> {
            let length = u32::from_le_bytes(*length);
            if length == NONE {
                return Some(None);
            }
            let (text, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = after;
            std::str::from_utf8(text).ok().map(Some)
        };
        let (entity_key, tenant) = (text(key)?, text(tenant)?);
        let targets = Targets(rest);
        let mut left = rest;
        while !left.is_empty() {
            left = split(left)?.1;
        }
        Some(Self { entity_key, tenant, targets })
    }

    /// Appends the section, unless it would be empty; returns its length.
    pub(super) fn encode(&self, buffer: &mut Vec<u8>) -> usize {
        if self.is_empty() {
            return 0;
        }
        let begin = buffer.len();
        // Both texts are bounded where they are set.
        let length = |text: Option<&str>| text.map_or(NONE, |text| text.len() as u32).to_le_bytes();
        buffer.extend_from_slice(&length(self.entity_key));
        buffer.extend_from_slice(&length(self.tenant));
        buffer.extend_from_slice(self.entity_key.unwrap_or_default().as_bytes());
        buffer.extend_from_slice(self.tenant.unwrap_or_default().as_bytes());
        buffer.extend_from_slice(self.targets.0);
        buffer.len() - begin
    }
}

/// Splits a target off: its type, its id or its key.
fn split(bytes: &[u8]) -> Option<((&str, EntityRef<'_>), &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (form, rest) = rest.split_first()?;
    let (kind, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    let kind = std::str::from_utf8(kind).ok()?;
    match *form {
        IS_ID => {
            let (id, rest) = rest.split_first_chunk()?;
            Some(((kind, EntityRef::Id(Uuid::from_bytes(*id))), rest))
        }
        IS_KEY => {
            let (length, rest) = rest.split_first_chunk()?;
            let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
            Some(((kind, EntityRef::Text(std::str::from_utf8(key).ok()?)), rest))
        }
        _ => None,
    }
}

impl<'a> Targets<'a> {
    fn all(self) -> impl Iterator<Item = Target<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let ((kind, entity), after) = split(rest)?;
            rest = after;
            let kind = without_nul(kind);
            let (id, key) = match entity {
                EntityRef::Text(key) => (named(&kind, key), Some(key.into())),
                EntityRef::Id(id) => (id, None),
                EntityRef::None => return None,
            };
            Some(Target { kind, id, key })
        })
    }

    /// Returns the column `targets`, JSON; `None` without further entities.
    pub(crate) fn json(self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let all: Vec<_> = self.all().collect();
        // Texts and ids: nothing in them fails.
        serde_json::to_string(&all).ok()
    }
}

/// The further parts of an event that is being made. Its buffers are kept for the next event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Further {
    key: Kept,
    tenant: Kept,
    targets: Vec<u8>,
    /// How many further entities there are, those that were left out included.
    count: usize,
}

/// A text that may be absent, in a buffer that stays.
#[derive(Debug, Clone, Default)]
struct Kept {
    is_set: bool,
    text: String,
}

impl Kept {
    fn set(&mut self, text: Option<&str>) {
        self.is_set = text.is_some();
        self.text.clear();
        self.text.push_str(text.unwrap_or_default());
    }

    fn get(&self) -> Option<&str> {
        self.is_set.then_some(&*self.text)
    }
}

impl Further {
    /// Sets the key, or returns the id to be set; a `None` has neither.
    pub(crate) fn set_entity(&mut self, entity: EntityRef<'_>) -> Option<Uuid> {
        let (id, key) = match entity.resolved() {
            EntityRef::None => (None, None),
            EntityRef::Id(id) => (Some(id), None),
            EntityRef::Text(key) => (None, Some(bounded(key))),
        };
        self.key.set(key.as_deref());
        id
    }

    pub(crate) fn set_tenant(&mut self, tenant: EntityRef<'_>) {
        match tenant {
            EntityRef::None => self.tenant.set(None),
            EntityRef::Id(id) => self.tenant.set(Some(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))),
            EntityRef::Text(text) => self.tenant.set(Some(&bounded(text))),
        }
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_set
    }

    /// Adds an entity, up to the most that there may be.
    pub(crate) fn push(&mut self, kind: &str, entity: EntityRef<'_>) {
        let entity = entity.resolved();
        if matches!(entity, EntityRef::None) {
            return;
        }
        self.count += 1;
        if self.count > MAX_TARGETS {
            return;
        }
        let kind = &kind[..kind.floor_char_boundary(usize::from(u16::MAX))];
        let form = if matches!(entity, EntityRef::Id(_)) { IS_ID } else { IS_KEY };
        self.targets.extend_from_slice(&(kind.len() as u16).to_le_bytes());
        self.targets.push(form);
        self.targets.extend_from_slice(kind.as_bytes());
        match entity {
            EntityRef::Id(id) => self.targets.extend_from_slice(id.as_bytes()),
            EntityRef::Text(key) => {
                let key = bounded(key);
                self.targets.extend_from_slice(&(key.len() as u16).to_le_bytes());
                self.targets.extend_from_slice(key.as_bytes());
            }
            EntityRef::None => {}
        }
    }

    /// Returns how many entities there were, if some were left out.
    pub(crate) fn overflow(&self) -> Option<usize> {
        (self.count > MAX_TARGETS).then_some(self.count)
    }

    /// Borrows it; `tenant` is what holds unless it has one itself.
    pub(crate) fn borrowed<'a>(&'a self, tenant: Option<&'a str>) -> FurtherRef<'a> {
        FurtherRef { entity_key: self.key.get(), tenant: self.tenant.get().or(tenant), targets: Targets(&self.targets) }
    }

    pub(crate) fn clear(&mut self) {
        self.key.set(None);
        self.tenant.set(None);
        self.targets.clear();
        self.count = 0;
    }
}

#[cfg(feature = "postgres")]
impl Further {
    /// Reads what a row has; entities that no program of this library wrote are left out.
    pub(crate) fn of_row(key: Option<&str>, tenant: Option<&str>, targets: Option<&str>) -> Self {
        let mut further = Self::default();
        further.key.set(key);
        further.tenant.set(tenant);
        let targets: Vec<Target<'_>> = targets.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        for target in &targets {
            further.push(&target.kind, target.key.as_deref().map_or(EntityRef::Id(target.id), EntityRef::Text));
        }
        further
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn filled() -> Further {
        let mut further = Further::default();
        further.set_entity(EntityRef::Text("INV-7"));
        further.set_tenant(EntityRef::Text("acme"));
        further.push("account", EntityRef::Text("42"));
        further.push("account", EntityRef::None);
        further.push("invoice", EntityRef::Id(Uuid::nil()));
        further
    }

    fn encoded(further: &Further) -> Vec<u8> {
        let mut bytes = Vec::new();
        further.borrowed(None).encode(&mut bytes);
        bytes
    }

    #[test]
    fn a_section_reads_back_and_no_truncation_of_it_does() {
        let further = filled();
        let bytes = encoded(&further);
        assert_eq!(FurtherRef::decode(&bytes), Some(further.borrowed(None)));
        for length in 1..bytes.len() {
            assert_ne!(FurtherRef::decode(&bytes[..length]), Some(further.borrowed(None)), "{length}");
        }
        assert_eq!(encoded(&Further::default()), b"");
    }

    #[test]
    fn targets_are_json_with_their_ids() {
        let json: Value = serde_json::from_str(&filled().borrowed(None).targets.json().unwrap()).unwrap();
        let account = named("account", "42");
        assert_eq!(
            json,
            json!([{"type": "account", "id": account, "key": "42"}, {"type": "invoice", "id": Uuid::nil()}])
        );
        assert_eq!(Targets::default().json(), None);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_row_gives_the_section_that_it_came_of() {
        let further = filled();
        let targets = further.borrowed(None).targets.json();
        let again = Further::of_row(Some("INV-7"), Some("acme"), targets.as_deref());
        assert_eq!(again.borrowed(None), further.borrowed(None));
        assert!(Further::of_row(None, None, Some(r#"[{"of": "others"}]"#)).borrowed(None).is_empty());
    }

    #[test]
    fn an_empty_key_is_one_and_none_is_not() {
        let mut further = Further::default();
        assert_eq!(further.set_entity(EntityRef::Text("")), None);
        assert_eq!(FurtherRef::decode(&encoded(&further)).unwrap().entity_key, Some(""));
        further.set_entity(EntityRef::None);
        assert_eq!(encoded(&further), b"");
        assert_eq!(further.set_entity(EntityRef::Id(Uuid::nil())), Some(Uuid::nil()));
    }

    #[test]
    fn a_thousand_targets_are_kept_and_all_are_counted() {
        let mut further = Further::default();
        for number in 0..1_500 {
            assert_eq!(further.overflow(), (number > MAX_TARGETS).then_some(number));
            further.push("line", EntityRef::Text(&number.to_string()));
        }
        assert_eq!(further.overflow(), Some(1_500));
        assert_eq!(further.borrowed(None).targets.all().count(), MAX_TARGETS);
    }

    #[test]
    fn what_no_event_writes_is_malformed() {
        for bytes in [&[0][..], &[9; 8], &[255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 7, b'a']] {
            assert_eq!(FurtherRef::decode(bytes), None, "{bytes:?}");
        }
    }
}
