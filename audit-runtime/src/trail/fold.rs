//! The values of an entity's fields, folded from the changes that its events report.
//!
//! A value is taken from an event, and never guessed. Elements of lists have no place that lasts, so
//! that their list is unknown after a change within.

use crate::capture::diff::{is_same_instant, member};
use crate::capture::json::Json;
use crate::event::{Outcome, Timestamp};
use crate::record::{Change, TrailEvent};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

/// The value of a field at one time, as far as events report it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "is", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldValue {
    /// This value.
    Known(Json),
    /// The field did not exist.
    Absent,
    /// A personal value of a subject that was forgotten.
    Erased,
    /// A personal value that the reader cannot decrypt.
    Encrypted,
    /// A secret.
    Redacted,
    /// No event reports the value.
    Unknown,
}

/// The event that reports a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChangedBy {
    /// The event's id.
    pub event_id: Uuid,
    /// The event type.
    pub event_type: String,
    /// The time at which the call began.
    pub at: Timestamp,
    /// The actor.
    pub actor: String,
    /// The reason, if the context has a text `reason`.
    pub reason: Option<String>,
    /// The tenant.
    pub tenant: Option<String>,
    /// The outcome of the call, as the event has it.
    pub outcome: String,
    /// The request or process.
    pub correlation_id: Option<Uuid>,
}

/// One change of one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// The way to the field, as in [`Change::path`](super::Change): `account.limit_cents`.
    pub field: String,
    /// The value before.
    pub from: FieldValue,
    /// The value after.
    pub to: FieldValue,
    /// The value that the change before left, if `from` is another one. No event reports the
    /// change between.
    pub unrecorded: Option<FieldValue>,
    /// Whether a call around this one reports the change, too.
    pub is_within: bool,
    /// The event.
    #[serde(flatten)]
    pub by: ChangedBy,
}

/// One field of an entity at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldState {
    /// The way to the field.
    pub field: String,
    /// The value.
    pub value: FieldValue,
    /// The change that set the value, or `None` if a later change reports what was there before.
    pub by: Option<ChangedBy>,
}

impl FieldValue {
    fn of(side: Option<&Json>) -> Self {
        match side {
            None => Self::Absent,
            Some(json) => match json.as_str() {
                Some("[erased]") => Self::Erased,
                Some("[encrypted]") => Self::Encrypted,
                Some("[redacted]") => Self::Redacted,
                _ => Self::Known(json.clone()),
            },
        }
    }

    /// Returns whether both may be the same value.
    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(one), Self::Known(other)) => one == other || is_same_instant(one, other),
            (Self::Known(_), Self::Absent) | (Self::Absent, Self::Known(_)) => false,
            _ => true,
        }
    }
}

impl ChangedBy {
    fn of(event: &TrailEvent) -> Self {
        let reason = event.context.as_ref().and_then(|context| context["reason"].as_str());
        Self {
            event_id: event.id,
            event_type: event.event_type.clone(),
            at: event.created_at,
            actor: event.actor.clone(),
            reason: reason.map(str::to_owned),
            tenant: event.tenant.clone(),
            outcome: event.outcome_text().to_owned(),
            correlation_id: event.correlation_id,
        }
    }
}

/// A field as the changes so far leave it.
#[derive(Debug)]
struct Field {
    value: FieldValue,
    /// The value that a failed call left, which may have been taken back.
    failed: Option<FieldValue>,
    by: Option<ChangedBy>,
    /// The end of that call.
    end: Timestamp,
}

/// The fields of an entity, change by change.
#[derive(Debug, Default)]
pub(super) struct Fold {
    fields: BTreeMap<String, Field>,
    /// Fields whose value at the time in question later events have confirmed.
    settled: BTreeSet<String>,
}

impl Fold {
    /// Takes the changes of the next event, in the order of time.
    pub(super) fn take(&mut self, event: &TrailEvent) -> Vec<FieldChange> {
        event.changes().iter().map(|change| self.change(event, change)).collect()
    }

    fn change(&mut self, event: &TrailEvent, change: &Change<'_>) -> FieldChange {
        let path = change.path.as_str();
        let by = ChangedBy::of(event);
        let end = event.created_at.saturating_add(event.duration().unwrap_or(Duration::ZERO));
        let told = |from, to| FieldChange {
            field: path.to_owned(),
            from,
            to,
            unrecorded: None,
            is_within: false,
            by: by.clone(),
        };
        let field = |value| Field { value, failed: None, by: Some(by.clone()), end };
        if let Some(note) = change.note() {
            return match note_of(path) {
                // Some leaves are not listed: each one that is not may have changed.
                Some(around) => {
                    self.below(around).for_each(|field| field.value = FieldValue::Unknown);
                    told(FieldValue::Unknown, FieldValue::Known(note.clone()))
                }
                None => {
                    self.set(path, vec![(path.to_owned(), field(FieldValue::Redacted))]);
                    told(FieldValue::Redacted, FieldValue::Redacted)
                }
            };
        }
        let (from, to) = (FieldValue::of(change.from), FieldValue::of(change.to));
        if let Some(list) = list_of(path) {
            self.set(list, vec![(list.to_owned(), field(FieldValue::Unknown))]);
            return told(from, to);
        }
        let (before, after) = (leaves(path, change.from), leaves(path, change.to));
        let is_within = before.iter().chain(&after).any(|(leaf, _)| self.is_within(leaf, event));
        let unrecorded = if is_within { None } else { self.unrecorded(path, &before) };
        if !is_within {
            let failed = matches!(event.outcome, Outcome::Error | Outcome::Panicked | Outcome::Cancelled);
            let mut fields: Vec<(String, Field)> =
                after.into_iter().map(|(leaf, value)| (leaf, field(value))).collect();
            if failed {
                // The caller may have taken the change back.
                let mut sides: BTreeMap<String, Field> =
                    before.into_iter().map(|(leaf, value)| (leaf, field(value))).collect();
                for (leaf, after) in fields {
                    let side = sides.entry(leaf).or_insert_with(|| field(FieldValue::Absent));
                    side.failed = Some(after.value);
                }
                for side in sides.values_mut() {
                    side.failed.get_or_insert(FieldValue::Absent);
                }
                fields = sides.into_iter().collect();
            }
            self.set(path, fields);
        }
        FieldChange { unrecorded, is_within, ..told(from, to) }
    }

    /// Returns whether the event began within the call that reported the field last.
    fn is_within(&self, leaf: &str, event: &TrailEvent) -> bool {
        self.fields.get(leaf).is_some_and(|field| {
            let around = field.by.as_ref().and_then(|by| by.correlation_id);
            around.is_some() && around == event.correlation_id && event.created_at < field.end
        })
    }

    /// Returns what the change before left, if that is not what this one found.
    fn unrecorded(&self, path: &str, before: &[(String, FieldValue)]) -> Option<FieldValue> {
        let agrees = |field: &Field, found: &FieldValue| {
            field.value.agrees(found) || field.failed.as_ref().is_some_and(|failed| failed.agrees(found))
        };
        let differs = before.iter().find_map(|(leaf, found)| {
            self.fields.get(leaf).filter(|field| !agrees(field, found)).map(|field| field.value.clone())
        });
        differs.or_else(|| {
            let mut below = self.fields.range(path.to_owned()..).take_while(|(leaf, _)| leaf.starts_with(path));
            below.find_map(|(leaf, field)| {
                let is_found = before.iter().any(|(found, _)| found == leaf);
                let is_gone = is_below(leaf, path) && !is_found && !agrees(field, &FieldValue::Absent);
                is_gone.then(|| field.value.clone())
            })
        })
    }

    /// Returns the fields at a path and below it.
    fn below<'a>(&'a mut self, path: &'a str) -> impl Iterator<Item = &'a mut Field> {
        let range = self.fields.range_mut(path.to_owned()..).take_while(move |(leaf, _)| leaf.starts_with(path));
        range.filter(move |(leaf, _)| *leaf == path || is_below(leaf, path)).map(|(_, field)| field)
    }

    /// Replaces what is at a path, below it, and around it.
    fn set(&mut self, path: &str, fields: Vec<(String, Field)>) {
        self.fields.retain(|leaf, _| leaf != path && !is_below(leaf, path) && !is_below(path, leaf));
        self.fields.extend(fields);
    }

    /// Takes an event after the time in question: its changes tell what was there before.
    pub(super) fn settle(&mut self, event: &TrailEvent) {
        for change in event.changes() {
            if change.note().is_some() || list_of(&change.path).is_some() {
                continue;
            }
            for (leaf, found) in leaves(&change.path, change.from) {
                if !self.settled.insert(leaf.clone()) {
                    continue;
                }
                if let Some(field) = self.fields.get_mut(&leaf) {
                    field.settle(found);
                } else if !self.has_around_or_below(&leaf) {
                    let end = event.created_at;
                    self.fields.insert(leaf, Field { value: found, failed: None, by: None, end });
                }
            }
        }
    }

    fn has_around_or_below(&self, path: &str) -> bool {
        self.fields.keys().any(|leaf| is_below(leaf, path) || is_below(path, leaf))
    }

    /// Returns the fields, by their paths.
    pub(super) fn state(self) -> Vec<FieldState> {
        let state = |(field, found): (String, Field)| {
            // Whether the change of a failed call stayed is not on record.
            let is_open = found.failed.is_some_and(|failed| failed != found.value);
            let value = if is_open { FieldValue::Unknown } else { found.value };
            FieldState { field, value, by: found.by }
        };
        self.fields.into_iter().map(state).collect()
    }
}

impl Field {
    /// Takes the value that the next change found.
    fn settle(&mut self, found: FieldValue) {
        let failed = self.failed.take();
        match &self.value {
            FieldValue::Unknown => {
                self.value = found;
                self.by = None;
            }
            value if value.agrees(&found) => {}
            _ if failed.is_some_and(|failed| failed.agrees(&found)) => self.value = found,
            _ => self.value = FieldValue::Unknown,
        }
    }
}

/// Returns the leaves of a value: an object is its members, because a later change names one of
/// these.
fn leaves(path: &str, value: Option<&Json>) -> Vec<(String, FieldValue)> {
    match value {
        // A note that the library wrote stays as it is.
        Some(Json::Object(members)) if !members.is_empty() && !members.keys().any(|name| name.starts_with('$')) => {
            members.iter().flat_map(|(name, value)| leaves(&member(path, name), Some(value))).collect()
        }
        value => vec![(path.to_owned(), FieldValue::of(value))],
    }
}

/// Returns whether a path leads through another one.
fn is_below(path: &str, around: &str) -> bool {
    path.strip_prefix(around).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Returns the value whose leaves a note such as `account.$truncated` stands for.
fn note_of(path: &str) -> Option<&str> {
    path.rsplit_once('.').filter(|(_, last)| last.starts_with('$')).map(|(around, _)| around)
}

/// Returns the list through an element of which a path leads.
fn list_of(path: &str) -> Option<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'[' if !is_quoted && path.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit) => {
                return Some(&path[..at]);
            }
            _ => {}
        }
    }
    None
}

/// Returns whether a path is that of a field, or leads through it: `limit` is in `account.limit.eur`.
pub(super) fn is_of(path: &str, field: &str) -> bool {
    let begins = std::iter::once(0).chain(path.match_indices('.').map(|(at, _)| at + 1));
    let mut rests = begins.map(|at| &path[at..]);
    rests.any(|rest| rest.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
}

#[cfg(test)]
mod tests;
