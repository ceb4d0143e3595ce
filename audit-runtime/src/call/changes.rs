//! What a call changed of its arguments.

use super::Call;
use crate::bounds::Capture;
use crate::capture::{self, Fields, Rules};
use crate::changes::changes;
use serde_json::{Map, Value, json};

/// Values before the body, and what differed after it.
#[derive(Debug, Default)]
pub(super) struct Changes {
    before: Vec<(&'static str, Result<Value, String>)>,
    changed: Map<String, Value>,
}

impl Changes {
    pub(super) fn clear(&mut self) {
        self.before.clear();
        if !self.changed.is_empty() {
            self.changed.clear();
        }
    }

    /// Writes them, if there are any, masked like everything else.
    pub(super) fn write(&mut self, fields: &mut Fields, rules: &Rules) {
        if !self.changed.is_empty() {
            fields.serialize(rules, "changes", &std::mem::take(&mut self.changed));
        }
    }
}

impl Call {
    /// Notes a value that the body may change.
    pub fn before<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut *self.active {
            active.changes.before.push((name, capture::to_value(value)));
        }
    }

    /// Compares it with what the body left.
    pub fn after<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        let Some(active) = &mut *self.active else {
            return;
        };
        let before = &mut active.changes.before;
        let Some(at) = before.iter().position(|(noted, _)| *noted == name) else {
            return;
        };
        let changed = match (before.swap_remove(at).1, capture::to_value(value)) {
            (Ok(before), Ok(after)) => changes(&before, &after),
            (Err(error), _) | (_, Err(error)) => json!({"$error": error}),
        };
        active.changes.changed.insert(name.to_owned(), changed);
    }
}
