//! The marks of personal values, which stay until they are encrypted.
//!
//! ```text
//! {"$personal": VALUE}                        of the subject that the event's data name as "$subject"
//! {"$personal": VALUE, "$subject": SUBJECT}   of a subject of its own
//! ```
//!
//! Marks stand at the top level of data, within `data.changes`, at the top level of the context, and
//! in place of the actor.

use super::json::Json;
use super::mask::REDACTED;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// The beginning of a mark.
pub(crate) const MARK: &str = r#"{"$personal":"#;
/// Names whose data it is: the data of an event, or a single value.
pub(crate) const SUBJECT: &str = "$subject";
/// The member of an event's data whose members may be marked, too.
pub(crate) const CHANGES: &str = "changes";
/// Stands between the names that lead to a value.
pub(crate) const BELOW: char = '\u{1f}';
/// The most levels below [`CHANGES`]: a change, a path in it, `from` or `to`.
const DEEPEST: usize = 3;
/// A marked actor has to fit its column's place in a record, encrypted too.
const LONGEST_ACTOR: usize = 40_000;

/// The member `$personal` of a mark.
const VALUE: &str = "$personal";

/// How a personal value is captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Marking {
    /// Left out: it cannot be encrypted.
    Redacted,
    /// Marked as the event's subject's.
    OfEvent,
    /// Marked as this subject's.
    Of(String),
}

impl Marking {
    fn subject(&self) -> Option<&str> {
        match self {
            Self::Of(subject) => Some(subject),
            Self::Redacted | Self::OfEvent => None,
        }
    }

    /// Returns a value with its mark.
    pub(crate) fn mark(&self, value: Json) -> Json {
        if *self == Self::Redacted {
            return REDACTED.into();
        }
        let subject = self.subject().map(|subject| (SUBJECT, subject.into()));
        [(VALUE, value)].into_iter().chain(subject).collect()
    }

    /// Returns the text of an actor with its mark.
    pub(crate) fn mark_actor(&self, actor: &str) -> String {
        let mark = self.mark(actor.into());
        match mark.as_str() {
            Some(redacted) => redacted.to_owned(),
            None => {
                Some(mark.to_string()).filter(|mark| mark.len() <= LONGEST_ACTOR).unwrap_or_else(|| REDACTED.into())
            }
        }
    }
}

/// Returns a marked value.
pub(crate) fn mark(value: &str, subject: Option<&str>) -> String {
    match subject {
        Some(subject) => format!("{MARK}{value},{SUBJECT:?}:{}}}", Json::from(subject)),
        None => format!("{MARK}{value}}}"),
    }
}

/// A mark as it is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark<'a> {
    /// The name of the value in the event's data. Elsewhere, the names that lead to it.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "no value is encrypted without the feature"))]
    pub(crate) name: &'a str,
    /// The value's JSON.
    pub(crate) value: &'a str,
    /// Whose it is, if the mark or the event says so.
    pub(crate) subject: Option<&'a str>,
}

/// The parts of an event that may hold marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marked<T> {
    pub(crate) data: T,
    /// JSON, or empty.
    pub(crate) context: T,
    pub(crate) actor: T,
}

/// Returns the parts of an event with the result of `replace` in place of each mark, and without the
/// event's subject. All else stays as it is.
pub(crate) fn replaced(parts: Marked<&str>, replace: &mut dyn FnMut(Mark<'_>) -> String) -> Marked<String> {
    let subject = subject(parts.data);
    let mut replacing = Replacing { subject: subject.as_deref(), replace };
    Marked {
        data: replacing.object(parts.data, Place::Data),
        context: replacing.object(parts.context, Place::Context),
        actor: replacing.actor(parts.actor),
    }
}

/// Returns the parts without personal values, for a process that cannot encrypt them.
pub(crate) fn redacted(parts: Marked<&str>) -> Marked<String> {
    replaced(parts, &mut |_| format!("{REDACTED:?}"))
}

/// Returns the parts without the personal values that belong to nobody, and whether any are left.
///
/// It is for events whose subject stayed unknown.
pub(crate) fn without_unowned(parts: Marked<&str>) -> (Marked<String>, bool) {
    let mut is_personal = false;
    let parts = replaced(parts, &mut |found| match found.subject {
        Some(_) => {
            is_personal = true;
            mark(found.value, found.subject)
        }
        None => format!("{REDACTED:?}"),
    });
    (parts, is_personal)
}

/// Returns an object of attributes without personal values.
pub(crate) fn redacted_attributes(json: &str) -> String {
    Replacing { subject: None, replace: &mut |_| format!("{REDACTED:?}") }.object(json, Place::Context)
}

/// Returns whether a value has the form of a mark.
pub(crate) fn is_mark(value: &Json) -> bool {
    value.as_object().is_some_and(|members| {
        members.contains_key(VALUE) && members.keys().all(|name| name == VALUE || name == SUBJECT)
    })
}

/// Returns the fields of an object, each marked as this subject's.
pub(crate) fn marked_fields(subject: &str, data: &str) -> String {
    let mut out = String::new();
    if let Ok(Fields(fields)) = serde_json::from_str(data) {
        for (name, value) in fields {
            let comma = if out.is_empty() { "" } else { "," };
            let _ = write!(out, "{comma}{}:{}", Json::from(name), mark(value.get(), Some(subject)));
        }
    }
    out
}

/// The subject of an event's data, if they name one.
pub(crate) fn subject(data: &str) -> Option<String> {
    let Fields(fields) = serde_json::from_str(data).ok()?;
    let (_, subject) = fields.into_iter().find(|(name, _)| name == SUBJECT)?;
    serde_json::from_str(subject.get()).ok()
}

/// Where an object stands.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Data,
    Context,
    /// Within the changes: the names that lead there, and how many levels may follow.
    Changes(&'a str, usize),
}

/// One pass over an event's parts.
struct Replacing<'a> {
    subject: Option<&'a str>,
    replace: &'a mut dyn FnMut(Mark<'_>) -> String,
}

impl Replacing<'_> {
    fn object(&mut self, json: &str, place: Place<'_>) -> String {
        let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_>>(json) else {
            return json.to_owned();
        };
        let mut out = String::with_capacity(json.len() * 2);
        out.push('{');
        for (name, value) in &fields {
            if matches!(place, Place::Data) && name == SUBJECT {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            let _ = write!(out, "{}:", Json::from(name.as_str()));
            let path = match place {
                Place::Data => Cow::Borrowed(name.as_str()),
                Place::Context => Cow::Owned(format!("context{BELOW}{name}")),
                Place::Changes(path, _) => Cow::Owned(format!("{path}{BELOW}{name}")),
            };
            match (self.mark(value.get(), &path), place) {
                (Some(replaced), _) => out.push_str(&replaced),
                (None, Place::Data) if name == CHANGES => {
                    out.push_str(&self.object(value.get(), Place::Changes(CHANGES, DEEPEST)));
                }
                (None, Place::Changes(_, deeper @ 2..)) => {
                    out.push_str(&self.object(value.get(), Place::Changes(&path, deeper - 1)));
                }
                _ => out.push_str(value.get()),
            }
        }
        out.push('}');
        out
    }

    /// The replacement of a mark, if the value is one.
    fn mark(&mut self, value: &str, name: &str) -> Option<String> {
        let found = OwnMark::read(value)?;
        let subject = found.subject.as_deref().or(self.subject);
        Some((self.replace)(Mark { name, value: found.value.get(), subject }))
    }

    fn actor(&mut self, actor: &str) -> String {
        let Some(replaced) = self.mark(actor, &format!("{BELOW}actor")) else {
            return actor.to_owned();
        };
        serde_json::from_str(&replaced).unwrap_or(replaced)
    }
}

/// A mark as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnMark<'a> {
    #[serde(borrow, rename = "$personal")]
    value: &'a RawValue,
    #[serde(rename = "$subject")]
    subject: Option<String>,
}

impl<'a> OwnMark<'a> {
    fn read(value: &'a str) -> Option<Self> {
        value.starts_with(MARK).then(|| serde_json::from_str(value).ok()).flatten()
    }
}

/// The fields of an object in their order, each as it is written.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(InOrder).map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = r#"{"amount":1.10,"email":{"$personal":"ann@example.com"},"$subject":"customer:42","a\"b":{"$personal":{"x":[1,{}]},"$subject":"customer:43"},"n":12345678901234567890123,"changes":{"whole":{"from":{"$personal":1},"to":2},"at":{"a.b":{"from":{"$personal":1},"to":{"$personal":2},"deep":{"too":{"$personal":3}}}}},"other":{"below":{"$personal":4}}}"#;

    fn parts(data: &str) -> Marked<&str> {
        let context = r#"{"ip":{"$personal":"10.0.0.1","$subject":"customer:7"},"tenant":"acme"}"#;
        Marked { data, context, actor: r#"{"$personal":"user:ann"}"# }
    }

    #[test]
    fn values_that_cannot_be_encrypted_are_redacted_wherever_they_are() {
        let redacted = redacted(parts(DATA));
        assert_eq!(
            redacted.data,
            r#"{"amount":1.10,"email":"[redacted]","a\"b":"[redacted]","n":12345678901234567890123,"changes":{"whole":{"from":"[redacted]","to":2},"at":{"a.b":{"from":"[redacted]","to":"[redacted]","deep":{"too":{"$personal":3}}}}},"other":{"below":{"$personal":4}}}"#
        );
        assert_eq!(
            (redacted.context.as_str(), redacted.actor.as_str()),
            (r#"{"ip":"[redacted]","tenant":"acme"}"#, "[redacted]")
        );
        assert_eq!(redacted_attributes(parts(DATA).context), redacted.context);
        for odd in ["", "[]", "{", "1", r#"{"$personal":1,"x":2}"#] {
            let odd = Marked { data: odd, context: odd, actor: odd };
            assert_eq!(
                super::redacted(odd),
                Marked { data: odd.data.into(), context: odd.context.into(), actor: odd.actor.into() }
            );
        }
    }

    #[test]
    fn each_mark_has_a_name_of_its_place_and_its_subject() {
        let mut found = Vec::new();
        replaced(parts(DATA), &mut |mark| {
            found.push(format!("{} {} {:?}", mark.name.replace(BELOW, "/"), mark.value, mark.subject));
            String::new()
        });
        let expected = [
            r#"email "ann@example.com" Some("customer:42")"#,
            r#"a"b {"x":[1,{}]} Some("customer:43")"#,
            r#"changes/whole/from 1 Some("customer:42")"#,
            r#"changes/at/a.b/from 1 Some("customer:42")"#,
            r#"changes/at/a.b/to 2 Some("customer:42")"#,
            r#"context/ip "10.0.0.1" Some("customer:7")"#,
            r#"/actor "user:ann" Some("customer:42")"#,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn of_an_unknown_subject_only_marks_with_their_own_stay() {
        let data = DATA.replace(r#""$subject":"customer:42","#, "");
        let (left, is_personal) = without_unowned(parts(&data));
        assert!(
            is_personal && left.data.contains(r#""a\"b":{"$personal":{"x":[1,{}]},"$subject":"customer:43"}"#),
            "{}",
            left.data
        );
        assert!(left.data.contains(r#""email":"[redacted]""#) && !left.data.contains("ann@"), "{}", left.data);
        assert_eq!((left.context.as_str(), left.actor.as_str()), (parts("").context, "[redacted]"));
        let (left, is_personal) = without_unowned(Marked { data: r#"{"a":{"$personal":1}}"#, context: "", actor: "x" });
        assert_eq!((left.data.as_str(), is_personal), (r#"{"a":"[redacted]"}"#, false));
    }

    #[test]
    fn a_marked_actor_is_not_cut() {
        let marking = Marking::Of("customer:42".into());
        assert_eq!(marking.mark_actor("ann"), r#"{"$personal":"ann","$subject":"customer:42"}"#);
        assert_eq!(marking.mark_actor(&"a".repeat(50_000)), "[redacted]");
        assert_eq!(Marking::Redacted.mark_actor("ann"), "[redacted]");
    }
}
