//! What differs between two values, leaf by leaf.

use serde_json::{Map, Value, json};

/// The leaves that differ: `{"path": {"from": .., "to": ..}}`, without `from` where it was added and without `to` where it
/// was removed. A path is as in JSONPath (RFC 9535) below the root: `quantity`, `lots[0].price`, `limits["a.b"]`. Two
/// values that are not both objects or both arrays are one leaf: `{"from": .., "to": ..}`.
pub(crate) fn changes(before: &Value, after: &Value) -> Value {
    let mut found = Map::new();
    if !compare("", Some(before), Some(after), &mut found) {
        // A leaf has no path.
        return found.remove("").unwrap_or_default();
    }
    Value::Object(found)
}

/// Notes what differs; `false` if the two are a leaf and differ.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Map<String, Value>) -> bool {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (key, value) in before {
                compare(&member(path, key), Some(value), after.get(key), found);
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                compare(&member(path, key), None, Some(value), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for at in 0..before.len().max(after.len()) {
                compare(&format!("{path}[{at}]"), before.get(at), after.get(at), found);
            }
        }
        (before, after) => {
            let mut leaf = Map::new();
            for (side, value) in [("from", before), ("to", after)] {
                if let Some(value) = value {
                    leaf.insert(side.to_owned(), value.clone());
                }
            }
            found.insert(path.to_owned(), Value::Object(leaf));
            return false;
        }
    }
    true
}

fn member(path: &str, key: &str) -> String {
    let plain = key.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    match (plain, path) {
        (true, "") => key.to_owned(),
        (true, path) => format!("{path}.{key}"),
        (false, path) => format!("{path}[{}]", json!(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_differs_is_told_by_its_path() {
        for (before, after, expected) in [
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), json!({"b": {"from": 2, "to": 3}})),
            (
                json!({"a": {"b": {"c": 1}}}),
                json!({"a": {"b": {"c": null}}}),
                json!({"a.b.c": {"from": 1, "to": null}}),
            ),
            (
                json!({"lots": [{"n": 1, "p": 2}, 7]}),
                json!({"lots": [{"n": 1, "p": 3}, 7, [8]]}),
                json!({"lots[0].p": {"from": 2, "to": 3}, "lots[2]": {"to": [8]}}),
            ),
            (json!([1, 2]), json!([1]), json!({"[1]": {"from": 2}})),
            (
                json!({"old": 1, "x": 0}),
                json!({"new": {"a": 1}, "x": 0}),
                json!({"old": {"from": 1}, "new": {"to": {"a": 1}}}),
            ),
            (
                json!({"a.b": 1, "": 2, "1": 3}),
                json!({}),
                json!({"[\"a.b\"]": {"from": 1}, "[\"\"]": {"from": 2}, "[\"1\"]": {"from": 3}}),
            ),
            (json!({"a": [1]}), json!({"a": {"0": 1}}), json!({"a": {"from": [1], "to": {"0": 1}}})),
            (json!(1), json!(2), json!({"from": 1, "to": 2})),
            (json!("flat"), json!({"long": 3}), json!({"from": "flat", "to": {"long": 3}})),
            (json!({"from": 1}), json!({"from": 1}), json!({})),
            (json!(1), json!(1), json!({})),
            (json!({}), json!({}), json!({})),
        ] {
            assert_eq!(changes(&before, &after), expected, "{before} {after}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from),
            "[a-c.\\[\"]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c.\\[\"]{0,2}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// How many leaves there are, and whether each differs where its path leads.
    fn leaves(before: &Value, after: &Value) -> usize {
        match (before, after) {
            _ if before == after => 0,
            (Value::Object(a), Value::Object(b)) => {
                let both: usize = a.iter().map(|(key, value)| b.get(key).map_or(1, |other| leaves(value, other))).sum();
                both + b.keys().filter(|key| !a.contains_key(*key)).count()
            }
            (Value::Array(a), Value::Array(b)) => {
                a.iter().zip(b).map(|(a, b)| leaves(a, b)).sum::<usize>() + a.len().abs_diff(b.len())
            }
            _ => 1,
        }
    }

    proptest! {
        #[test]
        fn no_two_leaves_share_a_path(before in value(), after in value()) {
            let told = changes(&before, &after);
            let both_composite = matches!(
                (&before, &after),
                (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_))
            );
            if both_composite || before == after {
                let told = told.as_object().unwrap();
                prop_assert_eq!(told.len(), leaves(&before, &after));
                prop_assert!(told.values().all(|leaf| leaf.get("from") != leaf.get("to")));
            } else {
                prop_assert_eq!(told, json!({"from": before, "to": after}));
            }
        }
    }
}
