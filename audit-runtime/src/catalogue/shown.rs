//! The catalogue as text, in a form that changes only with the attributes.

use super::function::{AuditedField, AuditedFunction, FieldCapture, FieldSource, Guarantee};
use std::fmt;

/// The text of a part that the call decides.
const LATE: &str = "(decided by the call)";

impl fmt::Display for AuditedFunction {
    /// Writes the function, and indented below it what its events contain. The line number is left
    /// out, so that a change elsewhere in the file changes no text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_async { "async " } else { "" };
        writeln!(f, "{kind}{} in {}", self.function, self.file)?;
        let late = self.has_late_events.then_some(LATE);
        let events: Vec<&str> = self.events.iter().map(String::as_str).chain(late).collect();
        let condition = if self.is_conditional { ", under a condition" } else { "" };
        writeln!(f, "  events     {}{condition}", events.join(", "))?;
        let id = if self.has_id { "" } else { ", without an id" };
        writeln!(f, "  entity     {}{id}", self.entity_type.as_deref().unwrap_or(LATE))?;
        if !self.also.is_empty() {
            writeln!(f, "  also       {}", self.also.join(", "))?;
        }
        if self.has_tenant {
            writeln!(f, "  tenant     {LATE}")?;
        }
        if self.has_actor {
            writeln!(f, "  actor      {}", self.actor.as_deref().unwrap_or(LATE))?;
        }
        if !self.fields.is_empty() {
            let fields: Vec<String> = self.fields.iter().map(ToString::to_string).collect();
            writeln!(f, "  fields     {}", fields.join(", "))?;
        }
        let transaction = if self.is_in_transaction { ", in the caller's transaction" } else { "" };
        writeln!(f, "  guarantee  {}{transaction}", self.guarantee)
    }
}

impl fmt::Display for AuditedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let source = matches!(self.source, FieldSource::Change).then_some("change");
        let personal = self.is_personal.then_some("personal");
        let capture = match self.capture {
            FieldCapture::Value => None,
            FieldCapture::Debug => Some("debug"),
            FieldCapture::Display => Some("display"),
            FieldCapture::Redacted => Some("redacted"),
            FieldCapture::LeftOut => Some("left out"),
            FieldCapture::IfSerializable => Some("if serialisable"),
            FieldCapture::Unknown => Some("in a newer form"),
        };
        let notes: Vec<&str> = [source, personal, capture].into_iter().flatten().collect();
        if notes.is_empty() { Ok(()) } else { write!(f, " ({})", notes.join(", ")) }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Journal => "journal",
            Self::Intent => "intent",
            Self::Required => "required",
            Self::Unknown => "of a newer version",
        })
    }
}
