//! Differences between two values, leaf by leaf.

use crate::capture::instant::instant;
use crate::capture::json::{HASH, Json, write_text};
use crate::capture::mask::REDACTED;
use crate::capture::personal::Marking;
use imara_diff::{Algorithm, Diff, InternedInput, Interner};
use std::collections::BTreeMap;

/// Stands for the leaves that a limit left out: how many there are.
pub(crate) const LEFT_OUT: &str = "$truncated";

/// Leaves by their paths.
type Leaves = BTreeMap<String, BTreeMap<String, Json>>;

/// Returns the leaves that differ: `{"path": {"from": .., "to": ..}}`, without `from` where it was
/// added and without `to` where it was removed. A path is as in JSONPath (RFC 9535) below the root:
/// `quantity`, `lots[0].price`, `limits["a.b"]`. Two values that are not both objects or both
/// arrays are one leaf: `{"from": .., "to": ..}`.
///
/// Elements of a list are matched by what they are, so that one inserted before the others is one
/// leaf. The place of a `from` is that before, the place of a `to` the one after. Values are the
/// same if they are for `jsonb`, or if they are the same instant in two time zones. At most `limit`
/// bytes of leaves are listed. The member `$truncated` counts the others.
pub(crate) fn changes(before: &Json, after: &Json, limit: usize) -> Json {
    let mut found = Leaves::new();
    compare("", Some(before), Some(after), &mut found);
    let is_container = |json: &Json| matches!(json, Json::Array(_) | Json::Object(_));
    if !(is_container(before) && std::mem::discriminant(before) == std::mem::discriminant(after)) {
        // A value that is not a container is a leaf at the empty path.
        return found.remove("").map_or_else(|| Json::Object(BTreeMap::new()), |leaf| shown(leaf, limit));
    }
    bounded(found, limit)
}

/// Returns the leaves with both of their sides marked as personal. The error of a value that cannot
/// be compared may repeat it.
pub(crate) fn marked(difference: Json, marking: &Marking) -> Json {
    let sides = |leaf: Json| match leaf {
        Json::Object(sides) => {
            Json::Object(sides.into_iter().map(|(side, value)| (side, marking.mark(value))).collect())
        }
        // A secret, or the number of leaves that were left out.
        other => other,
    };
    match difference {
        Json::Object(members) if members.keys().all(|name| matches!(name.as_str(), "from" | "to" | "$error")) => {
            sides(Json::Object(members))
        }
        Json::Object(leaves) => Json::Object(leaves.into_iter().map(|(path, leaf)| (path, sides(leaf))).collect()),
        other => other,
    }
}

/// Lists leaves as long as there is room.
fn bounded(found: Leaves, limit: usize) -> Json {
    let mut listed = BTreeMap::new();
    let (mut bytes, mut left_out) = (0, 0_u64);
    for (path, leaf) in found {
        let leaf = shown(leaf, limit / 4);
        let size = path.len() + leaf.to_string().len() + 8;
        if bytes + size > limit {
            left_out += 1;
        } else {
            bytes += size;
            listed.insert(path, leaf);
        }
    }
    if left_out > 0 {
        listed.insert(LEFT_OUT.to_owned(), left_out.into());
    }
    Json::Object(listed)
}

/// A leaf as it is on record: without the hashes of secrets, and without what is too long.
fn shown(leaf: BTreeMap<String, Json>, limit: usize) -> Json {
    let leaf: BTreeMap<String, Json> =
        leaf.into_iter().map(|(side, value)| (side, bound(unhashed(value), limit / 2))).collect();
    // For a secret, the diff records only that it changed.
    if leaf.len() == 2 && leaf.values().all(|value| *value == REDACTED) { REDACTED.into() } else { Json::Object(leaf) }
}

fn unhashed(value: Json) -> Json {
    match value {
        Json::String(text) => Json::String(match text.rsplit_once(HASH) {
            // Only a hash stands behind. A text may contain the character itself.
            Some((masked, hash)) if hash.len() == 64 && masked.contains(REDACTED) => masked.to_owned(),
            _ => text,
        }),
        Json::Array(values) => Json::Array(values.into_iter().map(unhashed).collect()),
        Json::Object(members) => {
            Json::Object(members.into_iter().map(|(name, value)| (name, unhashed(value))).collect())
        }
        other => other,
    }
}

fn bound(value: Json, limit: usize) -> Json {
    let json = value.to_string();
    if json.len() > limit { Json::read(&crate::capture::truncated_json(&json)) } else { value }
}

/// Notes what differs.
fn compare(path: &str, before: Option<&Json>, after: Option<&Json>, found: &mut Leaves) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Json::Object(before)), Some(Json::Object(after))) => {
            for (key, value) in before {
                compare(&member(path, key), Some(value), after.get(key), found);
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                compare(&member(path, key), None, Some(value), found);
            }
        }
        (Some(Json::Array(before)), Some(Json::Array(after))) => elements(path, before, after, found),
        (Some(before), Some(after)) if is_same_instant(before, after) => {}
        (before, after) => {
            let leaf = found.entry(path.to_owned()).or_default();
            for (side, value) in [("from", before), ("to", after)] {
                if let Some(value) = value {
                    leaf.insert(side.to_owned(), value.clone());
                }
            }
        }
    }
}

/// Compares two lists by what their elements are.
fn elements(path: &str, before: &[Json], after: &[Json], found: &mut Leaves) {
    let interner = Interner::new(before.len() + after.len());
    let mut input = InternedInput { before: Vec::new(), after: Vec::new(), interner };
    input.update_before(before.iter());
    input.update_after(after.iter());
    for hunk in Diff::compute(Algorithm::Myers, &input).hunks() {
        let (removed, added) =
            (hunk.before.start as usize..hunk.before.end as usize, hunk.after.start as usize..hunk.after.end as usize);
        // Elements that have kept their place are compared within.
        let pairs = if removed.start == added.start { removed.len().min(added.len()) } else { 0 };
        for at in removed.clone().take(pairs) {
            compare(&format!("{path}[{at}]"), before.get(at), after.get(at), found);
        }
        for at in removed.skip(pairs) {
            compare(&format!("{path}[{at}]"), before.get(at), None, found);
        }
        for at in added.skip(pairs) {
            compare(&format!("{path}[{at}]"), None, after.get(at), found);
        }
    }
    // An element that was passed on the way has its place again.
    found.retain(|_, leaf| leaf.get("from").zip(leaf.get("to")).is_none_or(|(from, to)| from != to));
}

/// Returns whether two texts are the same instant (RFC 3339), in whichever zones.
pub(crate) fn is_same_instant(before: &Json, after: &Json) -> bool {
    let instant = |json: &Json| instant(json.as_str()?);
    // Both must be instants.
    instant(before).is_some_and(|before| instant(after) == Some(before))
}

pub(crate) fn member(path: &str, key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    match (is_plain, path) {
        (true, "") => key.to_owned(),
        (true, path) => format!("{path}.{key}"),
        (false, path) => {
            let mut quoted = Vec::new();
            write_text(key, &mut quoted);
            format!("{path}[{}]", String::from_utf8_lossy(&quoted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn told(before: &Value, after: &Value) -> Json {
        changes(&before.into(), &after.into(), usize::MAX)
    }

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
            (json!([1]), json!({"long": 3}), json!({"from": [1], "to": {"long": 3}})),
            (json!({"from": 1}), json!({"from": 1}), json!({})),
            (json!(1), json!(1), json!({})),
            (json!({}), json!({}), json!({})),
        ] {
            assert_eq!(told(&before, &after), expected, "{before} {after}");
        }
    }

    #[test]
    fn lists_are_compared_by_their_elements() {
        let long: Vec<u32> = (0..5_000).collect();
        let with_first: Vec<u32> = [7].into_iter().chain(long.clone()).collect();
        let without: Vec<u32> = long.iter().copied().filter(|n| *n != 2_500).collect();
        for (before, after, expected) in [
            (json!([1, 2, 3]), json!([0, 1, 2, 3]), json!({"[0]": {"to": 0}})),
            (json!(["a", "b", "c"]), json!(["a", "c"]), json!({"[1]": {"from": "b"}})),
            (json!(["a", "b", "c"]), json!(["a", "B", "c"]), json!({"[1]": {"from": "b", "to": "B"}})),
            (
                json!(["a", "b", "c"]),
                json!(["n", "a", "B", "c"]),
                json!({"[0]": {"to": "n"}, "[1]": {"from": "b"}, "[2]": {"to": "B"}}),
            ),
            (json!(long), json!(with_first), json!({"[0]": {"to": 7}})),
            (json!(long), json!(without), json!({"[2500]": {"from": 2500}})),
        ] {
            assert_eq!(told(&before, &after), expected);
        }
        let every_second = |by: u32| -> Vec<u32> { (0..200_000).map(|n| n * 2 + n % 2 * by).collect() };
        let found = changes(&every_second(0).into(), &every_second(1).into(), 2_000);
        assert!(found[LEFT_OUT].as_u64().is_some_and(|left_out| left_out > 90_000), "{found}");
        let found = told(&json!(["b", "c", "X"]), &json!(["n", "m", "X", "b", "c"]));
        assert!(found.as_object().unwrap().values().all(|leaf| leaf.get("from") != leaf.get("to")), "{found}");
        assert_eq!(told(&json!([1, 1, 1]), &json!([1, 1])).as_object().unwrap().len(), 1);
    }

    #[test]
    fn values_that_are_equal_are_no_change() {
        for (before, after) in [
            (json!(1), json!(1.0)),
            (json!(-0.0), json!(0)),
            (json!("2026-11-28T06:00:00Z"), json!("2026-11-28T08:00:00.000+02:00")),
        ] {
            assert_eq!(told(&json!({"a": before}), &json!({"a": after})), json!({}), "{before} {after}");
        }
        for (before, after) in [
            (json!("1.0"), json!("1.00")),
            (json!("2026-11-28T06:00:00Z"), json!("2026-11-28T06:00:01Z")),
            (json!("2026-11-28"), json!("2026-11-28T00:00:00Z")),
        ] {
            assert_ne!(told(&json!({"a": before}), &json!({"a": after})), json!({}), "{before} {after}");
        }
    }

    #[test]
    fn a_change_survives_the_limit_whatever_is_beside_it() {
        let text = "x".repeat(10_000);
        let before = json!({"a": 1, "long": text, "z": 1});
        let after = json!({"a": 2, "long": format!("{text}y"), "z": 2});
        let found = changes(&(&before).into(), &(&after).into(), 2_000);
        assert_eq!(found["a"], json!({"from": 1, "to": 2}));
        assert_eq!(found["z"], json!({"from": 1, "to": 2}));
        assert_eq!(found["long"]["from"]["$truncated"], 10_002);
        let all = |by: u32| Json::from((0..1_000).map(|n| n * 2 + by).collect::<Vec<u32>>());
        let found = changes(&all(0), &all(1), 2_000);
        assert!(found.to_string().len() < 2_100, "{}", found.to_string().len());
        assert_eq!(found[LEFT_OUT].as_u64().unwrap() as usize + found.as_object().unwrap().len() - 1, 1_000);
    }

    #[test]
    fn many_changed_elements_are_compared_in_little_time() {
        let all = |by: u32| Json::from((0..200_000).map(|n| n * 2 + by).collect::<Vec<u32>>());
        assert_eq!(changes(&all(0), &all(1), 200)[LEFT_OUT], 200_000 - 5);
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

    /// Returns how many leaves differ where no list does.
    fn leaves(before: &Value, after: &Value) -> usize {
        match (before, after) {
            _ if before == after => 0,
            (Value::Object(a), Value::Object(b)) => {
                let both: usize = a.iter().map(|(key, value)| b.get(key).map_or(1, |other| leaves(value, other))).sum();
                both + b.keys().filter(|key| !a.contains_key(*key)).count()
            }
            _ => 1,
        }
    }

    fn has_list(value: &Value) -> bool {
        match value {
            Value::Array(_) => true,
            Value::Object(members) => members.values().any(has_list),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn no_two_leaves_share_a_path(before in value(), after in value()) {
            let told = told(&before, &after);
            let both_composite = matches!(
                (&before, &after),
                (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_))
            );
            if both_composite || before == after {
                let told = told.as_object().unwrap();
                if !has_list(&before) || !has_list(&after) {
                    prop_assert_eq!(told.len(), leaves(&before, &after));
                }
                prop_assert_eq!(told.is_empty(), before == after);
                prop_assert!(told.values().all(|leaf| leaf.get("from") != leaf.get("to")));
            } else {
                prop_assert_eq!(told, json!({"from": before, "to": after}));
            }
        }
    }
}
