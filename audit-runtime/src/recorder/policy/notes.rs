//! The note `$policy` in an event's data: what a policy did about the event.

use crate::capture::Json;
use crate::capture::personal::{SUBJECT, subject};
use crate::record::{EventRef, payload};
use crate::recorder::rule_name::RuleName;
use std::fmt::Write as _;

/// The field of an event's data that has the note.
pub(crate) const POLICY_NOTE: &str = "$policy";

/// The note about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Notes {
    /// The rule by which arguments, result and error text are left out.
    pub(crate) metadata_only: Option<RuleName>,
    /// How many of the same calls were not recorded before this one.
    pub(crate) left_out: u64,
    /// The rule by which the cause was not recorded.
    pub(crate) cause_left_out: Option<RuleName>,
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the field, as it stands in an object.
    fn field(&self) -> String {
        let mut field = format!("\"{POLICY_NOTE}\":{{");
        let mut put = |name: &str, value: Json| {
            let comma = if field.ends_with('{') { "" } else { "," };
            let _ = write!(field, "{comma}\"{name}\":{value}");
        };
        if let Some(rule) = self.metadata_only {
            put("metadata_only", rule.as_str().into());
        }
        if self.left_out > 0 {
            put("left_out", self.left_out.into());
        }
        if let Some(rule) = self.cause_left_out {
            put("cause_left_out", rule.as_str().into());
        }
        field.push('}');
        field
    }

    /// Writes the note into an encoded event, and leaves out what it says is left out.
    #[cold]
    pub(crate) fn write(&self, record: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        let (mut json, mut bytes) = (Vec::new(), Vec::new());
        if let Ok(event) = EventRef::decode(record, &mut json) {
            let data = if self.metadata_only.is_some() { self.instead_of(event.data) } else { self.behind(event.data) };
            payload::encode(&mut bytes, &EventRef { data: &data, ..event });
            *record = bytes;
        }
    }

    /// Returns the data with the note alone, and with the subject, which marks elsewhere refer to.
    fn instead_of(&self, data: &str) -> String {
        let subject = subject(data).map_or_else(String::new, |subject| format!("{SUBJECT:?}:{},", Json::from(subject)));
        format!("{{{subject}{}}}", self.field())
    }

    /// Returns the data with the note behind the other fields.
    fn behind(&self, data: &str) -> String {
        match data.trim_end().strip_suffix('}').map(str::trim_end) {
            Some("{") | None => format!("{{{}}}", self.field()),
            Some(fields) => format!("{fields},{}}}", self.field()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stands_behind_the_data_or_in_their_place() {
        let rule = RuleName::new("the \"reads\"");
        let left_out = Notes { left_out: 3, ..Notes::default() };
        assert_eq!(left_out.behind("{}"), r#"{"$policy":{"left_out":3}}"#);
        assert_eq!(left_out.behind(r#"{"a":{} }"#), r#"{"a":{},"$policy":{"left_out":3}}"#);
        let all = Notes { metadata_only: Some(rule), cause_left_out: Some(rule), ..left_out };
        let note = r#""$policy":{"metadata_only":"the \"reads\"","left_out":3,"cause_left_out":"the \"reads\""}"#;
        assert_eq!(all.instead_of(r#"{"a":1,"result":2}"#), format!("{{{note}}}"));
        assert_eq!(all.instead_of(r#"{"a":1,"$subject":"x:\"1\""}"#), format!(r#"{{"$subject":"x:\"1\"",{note}}}"#));
        assert!(Notes::default().is_empty() && !all.is_empty());
    }
}
