//! The differences between arguments before a call and after it.

use crate::capture::diff::{changes, marked};
use crate::capture::json::Json;
use crate::capture::mask::{REDACTED, Role};
use crate::capture::personal::Marking;
use crate::capture::{Fields, Rules};
use std::collections::BTreeMap;

/// Values before the body, and after it.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) before: Vec<(&'static str, Result<Json, String>)>,
    pub(super) compared: BTreeMap<&'static str, Result<(Json, Json), String>>,
}

impl Changes {
    pub(super) fn clear(&mut self) {
        self.before.clear();
        if !self.compared.is_empty() {
            self.compared.clear();
        }
    }

    /// Writes their differences, if values were compared. Leaves of the values in `personal` are marked.
    pub(super) fn write(&mut self, fields: &mut Fields, rules: &Rules, personal: &[(&'static str, Marking)]) {
        if self.compared.is_empty() {
            return;
        }
        // A part of the room that is left, so that neither one value's leaves crowd out another's,
        // nor all of them the rest.
        let limit = rules.limit.saturating_sub(fields.len()) / 2 / self.compared.len();
        let differences = std::mem::take(&mut self.compared).into_iter().map(|(name, compared)| {
            let difference = match compared {
                _ if rules.mask.role_of_field(name) == Role::Secret => REDACTED.into(),
                Ok((before, after)) => changes(&before, &after, limit),
                Err(error) => [("$error", error)].into_iter().collect(),
            };
            let marking = personal.iter().find(|(marked, _)| *marked == name);
            (name, marking.into_iter().fold(difference, |difference, (_, marking)| marked(difference, marking)))
        });
        let json = differences.collect::<Json>().to_string();
        fields.field(rules, "changes", &mut |out| {
            out.verbatim(&json);
            Ok(())
        });
    }
}
