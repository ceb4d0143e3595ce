//! The marks of personal values, which stay until they are encrypted.

use super::mask::REDACTED;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt::{self, Write as _};

/// The wrapper of a personal value until the value is encrypted.
pub(crate) const MARK: &str = r#"{"$personal":"#;
/// Names whose data they are.
pub(crate) const SUBJECT: &str = "$subject";

/// The fields of an event's data in their order, each as it is written.
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

/// The value inside of a mark.
fn marked(value: &RawValue) -> Option<&str> {
    value.get().strip_prefix(MARK)?.strip_suffix('}')
}

/// Returns data with each personal value replaced by the result of `replace` for its name and JSON,
/// and without the subject. Data without personal values are returned unchanged.
pub(crate) fn replaced(data: &str, mut replace: impl FnMut(&str, &str) -> String) -> String {
    let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_>>(data) else {
        return data.to_owned();
    };
    let mut out = String::with_capacity(data.len() * 2);
    out.push('{');
    for (name, value) in fields.iter().filter(|(name, _)| name != SUBJECT) {
        if out.len() > 1 {
            out.push(',');
        }
        let _ = write!(out, "{}:", serde_json::Value::from(name.as_str()));
        match marked(value) {
            Some(value) => out.push_str(&replace(name, value)),
            None => out.push_str(value.get()),
        }
    }
    out.push('}');
    out
}

#[cfg(feature = "postgres")]
/// Returns the subject of an event's data, if they name one.
pub(crate) fn subject(data: &str) -> Option<String> {
    let Fields(fields) = serde_json::from_str(data).ok()?;
    let (_, subject) = fields.into_iter().find(|(name, _)| name == SUBJECT)?;
    serde_json::from_str(subject.get()).ok()
}

/// The fields of an object, each marked, and whose they are.
pub(crate) fn marked_fields(subject: &str, data: &str) -> String {
    let mut out = format!("{:?}:{}", SUBJECT, serde_json::Value::from(subject));
    if let Ok(Fields(fields)) = serde_json::from_str(data) {
        for (name, value) in fields {
            let _ = write!(out, ",{}:{MARK}{}}}", serde_json::Value::from(name), value.get());
        }
    }
    out
}

/// Returns the data without personal values, for a process that cannot encrypt them.
pub(crate) fn redact(data: &str) -> String {
    replaced(data, |_, _| format!("{REDACTED:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = r#"{"amount":1.10,"email":{"$personal":"ann@example.com"},"$subject":"customer:42","a\"b":{"$personal":{"x":[1,{}]}},"n":12345678901234567890123}"#;

    #[test]
    fn values_that_cannot_be_encrypted_are_redacted() {
        assert_eq!(
            redact(DATA),
            r#"{"amount":1.10,"email":"[redacted]","a\"b":"[redacted]","n":12345678901234567890123}"#
        );
        for odd in ["", "[]", "{", "1"] {
            assert_eq!((redact(odd).as_str(), subject(odd)), (odd, None));
        }
    }
}
