//! What a call changed of its arguments.

use super::Call;
use crate::bounds::Capture;
use crate::capture::{self, Fields, Rules};
use crate::changes::changes;
use crate::json::Json;
use crate::mask::{REDACTED, Role};
use std::collections::BTreeMap;

/// Values before the body, and after it.
#[derive(Debug, Default)]
pub(super) struct Changes {
    before: Vec<(&'static str, Result<Json, String>)>,
    compared: BTreeMap<&'static str, Result<(Json, Json), String>>,
}

impl Changes {
    pub(super) fn clear(&mut self) {
        self.before.clear();
        if !self.compared.is_empty() {
            self.compared.clear();
        }
    }

    /// Writes their differences, if values were compared.
    pub(super) fn write(&mut self, fields: &mut Fields, rules: &Rules) {
        if self.compared.is_empty() {
            return;
        }
        // A part of the room that is left, so that neither one value's leaves crowd out another's, nor all of them the rest.
        let limit = rules.limit.saturating_sub(fields.len()) / 2 / self.compared.len();
        let differences = std::mem::take(&mut self.compared).into_iter().map(|(name, compared)| {
            let difference = match compared {
                _ if rules.mask.role_of_field(name) == Role::Secret => REDACTED.into(),
                Ok((before, after)) => changes(&before, &after, limit),
                Err(error) => [("$error", error)].into_iter().collect(),
            };
            (name, difference)
        });
        let json = differences.collect::<Json>().to_string();
        fields.field(rules, "changes", &mut |out| {
            out.verbatim(&json);
            Ok(())
        });
    }
}

impl Call {
    /// Notes a value that the body may change.
    pub fn before<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut *self.active {
            let value = capture::comparable(&active.recorder.rules().mask, value);
            active.changes.before.push((name, value));
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
        let before = before.swap_remove(at).1;
        let after = capture::comparable(&active.recorder.rules().mask, value);
        active.changes.compared.insert(name, before.and_then(|before| Ok((before, after?))));
    }
}
