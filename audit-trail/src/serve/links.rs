//! Paths of pages, with the parts that apply to every page.

use super::question::{Order, Question};
use audit_runtime::trail::TrailEvent;
use std::fmt::Write as _;
use uuid::Uuid;

/// Percent-encodes a part of a path: all but unreserved characters, and a dot where the part would
/// otherwise mean something else.
fn part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let is_suffix = text.ends_with(".json");
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' if is_suffix && at + 5 == text.len() => encoded.push_str("%2E"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b':' => {
                encoded.push(byte.into())
            }
            // Writing to a string succeeds.
            other => drop(write!(encoded, "%{other:02X}")),
        }
    }
    encoded
}

/// Browsers take these for steps in a path, and a path with an empty part has another meaning.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".."
}

/// Returns a path with a query, if there is one.
pub(crate) fn with_query(path: &str, question: &Question) -> String {
    let query = question.query();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The search that asks a question.
pub(crate) fn search(question: &Question) -> String {
    with_query("/", question)
}

fn plain(path: &str, from: &Question) -> String {
    with_query(path, &from.plain())
}

/// The page of an event.
pub(crate) fn event(id: Uuid, from: &Question) -> String {
    plain(&format!("/event/{id}"), from)
}

/// The page of a correlation.
pub(crate) fn correlation(id: Uuid, from: &Question) -> String {
    plain(&format!("/correlation/{id}"), from)
}

/// The page of a batch.
pub(crate) fn batch(id: Uuid, from: &Question) -> String {
    plain(&format!("/batch/{id}"), from)
}

/// The page of a checkpoint.
pub(crate) fn checkpoint(number: i64, from: &Question) -> String {
    plain(&format!("/checkpoint/{number}"), from)
}

/// The timeline of an entity.
pub(crate) fn entity(kind: &str, key: &str, from: &Question) -> String {
    if is_plain(kind) && is_plain(key) {
        return plain(&format!("/entity/{}/{}", part(kind), part(key)), from);
    }
    search(&from.plain().with(|question| question.selection.entity = Some((kind.into(), key.into()))))
}

/// The timeline of an actor.
pub(crate) fn actor(name: &str, from: &Question) -> String {
    if is_plain(name) {
        return plain(&format!("/actor/{}", part(name)), from);
    }
    search(&from.plain().with(|question| question.selection.actor = Some(name.into())))
}

/// The timeline of a tenant.
pub(crate) fn tenant(name: &str, from: &Question) -> String {
    if is_plain(name) {
        return plain(&format!("/tenant/{}", part(name)), from);
    }
    search(&from.plain().with(|question| question.selection.tenant = Some(name.into())))
}

/// The timeline of the entity that an event is about.
pub(crate) fn entity_of(subject: &TrailEvent, from: &Question) -> Option<String> {
    let key = crate::format::entity_key(subject)?;
    Some(entity(&subject.entity_type, &key, from))
}

/// The same page with the other order of time.
pub(crate) fn reversed(path: &str, question: &Question) -> String {
    let order = if question.order == Order::Newest { Order::Oldest } else { Order::Newest };
    with_query(path, &question.with(|question| question.order = order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_has_a_path_or_a_search() {
        let plain = Question::default();
        for (kind, key, expected) in [
            ("account", "42", "/entity/account/42"),
            ("a/b", "x?y#z%", "/entity/a%2Fb/x%3Fy%23z%25"),
            ("file", "a.json", "/entity/file/a%2Ejson"),
            ("file", "..", "/?entity=file%3A.."),
            ("", "ä", "/?entity=%3A%C3%A4"),
        ] {
            assert_eq!(entity(kind, key, &plain), expected);
        }
    }
}
