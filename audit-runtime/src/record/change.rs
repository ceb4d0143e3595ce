//! The changes that an event reports.

use super::trail_event::TrailEvent;
use crate::capture::json::Json;
use crate::capture::mask::REDACTED;
use std::collections::BTreeMap;

/// Describes one changed leaf of `data.changes`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Change<'a> {
    /// The value and the way to the leaf in it: `account.limit_cents`, `mode`, `lots[0].price`.
    pub path: String,
    /// The leaf before, or `None` if it was added.
    pub from: Option<&'a Json>,
    /// The leaf after, or `None` if it was removed.
    pub to: Option<&'a Json>,
}

impl<'a> Change<'a> {
    /// Returns the note that stands in place of both sides: that a secret changed, or how many
    /// leaves a limit left out.
    #[must_use]
    pub fn note(&self) -> Option<&'a Json> {
        let note = self.to.filter(|_| self.from.is_none())?;
        is_note(&self.path, note).then_some(note)
    }
}

impl TrailEvent {
    /// Returns the changes that the event reports, leaf by leaf.
    ///
    /// If `data.changes` has another form than `{"value": {"path": {"from": .., "to": ..}}}`, the
    /// list is empty.
    #[must_use]
    pub fn changes(&self) -> Vec<Change<'_>> {
        let values = self.data.get("changes").and_then(Json::as_object);
        values.and_then(leaves).unwrap_or_default()
    }
}

fn leaves(values: &BTreeMap<String, Json>) -> Option<Vec<Change<'_>>> {
    let mut changes = Vec::new();
    for (value, leaves) in values {
        match leaves.as_object() {
            // A value that is a leaf itself.
            Some(leaf) if is_leaf(leaf) => changes.push(change(value.clone(), leaf)),
            Some(leaves) => {
                for (path, leaf) in leaves {
                    let joined =
                        if path.starts_with('[') { format!("{value}{path}") } else { format!("{value}.{path}") };
                    changes.push(match leaf.as_object().filter(|leaf| is_leaf(leaf)) {
                        Some(leaf) => change(joined, leaf),
                        None if is_note(path, leaf) => note(joined, leaf),
                        None => return None,
                    });
                }
            }
            None if is_note(value, leaves) => changes.push(note(value.clone(), leaves)),
            None => return None,
        }
    }
    Some(changes)
}

/// Returns whether a value stands in place of a leaf. For a secret, a failure or a limit, it shows
/// that something changed, and hides the content.
fn is_note(path: &str, leaf: &Json) -> bool {
    leaf == REDACTED || path.rsplit('.').next().is_some_and(|name| name.starts_with('$'))
}

fn note(path: String, note: &Json) -> Change<'_> {
    Change { path, from: None, to: Some(note) }
}

fn change(path: String, leaf: &BTreeMap<String, Json>) -> Change<'_> {
    Change { path, from: leaf.get("from"), to: leaf.get("to") }
}

/// Returns whether an object is one leaf: `from`, `to` and nothing else. The leaves of two paths
/// named so are leaves themselves.
fn is_leaf(leaf: &BTreeMap<String, Json>) -> bool {
    let is_side = |name: &String| name == "from" || name == "to";
    let is_leaf_itself =
        |value: &Json| value.as_object().is_some_and(|inner| !inner.is_empty() && inner.keys().all(is_side));
    !leaf.is_empty() && leaf.keys().all(is_side) && !leaf.values().all(is_leaf_itself)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(changes: serde_json::Value) -> Vec<String> {
        let changes = Json::from(changes);
        let found = changes.as_object().and_then(leaves).unwrap_or_default();
        let side = |value: Option<&Json>| value.map_or_else(|| "-".into(), Json::to_string);
        found.iter().map(|change| format!("{} {} {}", change.path, side(change.from), side(change.to))).collect()
    }

    #[test]
    fn every_form_of_a_change_is_told() {
        for (changes, expected) in [
            (json!({"account": {"limit": {"from": 1, "to": 2}}}), vec!["account.limit 1 2"]),
            (json!({"lots": {"[0].price": {"from": 1}}}), vec!["lots[0].price 1 -"]),
            (json!({"mode": {"from": "a", "to": "b"}}), vec!["mode \"a\" \"b\""]),
            (json!({"mode": {"to": null}}), vec!["mode - null"]),
            (json!({"v": {"from": {"a": 1}, "to": {"a": 2}}}), vec!["v {\"a\":1} {\"a\":2}"]),
            (json!({"v": {"from": {"from": 1, "to": 2}, "to": {"to": 3}}}), vec!["v.from 1 2", "v.to - 3"]),
            (json!({"x": {"password": "[redacted]"}}), vec!["x.password - \"[redacted]\""]),
            (json!({"x": {"$error": "no"}}), vec!["x.$error - \"no\""]),
            (json!({"x": {}}), vec![]),
            (json!(["qty 1 to 2"]), vec![]),
            (json!({"status": "closed"}), vec![]),
            (json!({"token": "[redacted]", "n": {"from": 1, "to": 2}}), vec!["n 1 2", "token - \"[redacted]\""]),
            (json!({"v": {"from": 1, "to": 2, "by": "ann"}}), vec![]),
            (json!({"v": {"note": "raised by ann"}}), vec![]),
        ] {
            assert_eq!(told(changes.clone()), expected, "{changes}");
        }
    }
}
