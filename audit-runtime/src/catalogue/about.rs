//! The text by which an attribute describes its function.
//!
//! ```text
//! about  = flags "\n" { field " " } "\n" { entity type " " } "\n" line " " file
//! flags  = letters, each at most once: a async, c recorded under a condition, i intent, l event types
//!          that the call decides, n no id, r required, t tenant, u actor, x in a transaction
//! field  = [ "=" field | "~" change | ">" result | "<" error | "@" actor ]
//!          [ "!" personal ] [ "?" debug | "%" display | "#" redacted | "-" left out | "*" if serde knows it ]
//!          name, which results, errors and actors lack
//! ```
//!
//! `audit-macros/src/expand/about.rs` writes it.

use super::function::{AuditedField, FieldCapture, FieldSource};

/// A parsed text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct About<'a> {
    flags: &'a str,
    pub(crate) fields: Vec<AuditedField>,
    pub(crate) also: Vec<String>,
    pub(crate) line: u32,
    pub(crate) file: &'a str,
}

impl<'a> About<'a> {
    /// Reads a text. Parts that it lacks are empty.
    pub(crate) fn of(text: &'a str) -> Self {
        let mut lines = text.splitn(4, '\n');
        let mut line = || lines.next().unwrap_or_default();
        let flags = line();
        let fields = line().split_terminator(' ').map(field).collect();
        let also = line().split_terminator(' ').map(str::to_owned).collect();
        let (line, file) = line().split_once(' ').unwrap_or_default();
        Self { flags, fields, also, line: line.parse().unwrap_or_default(), file }
    }

    /// Returns whether a flag is set.
    pub(crate) fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

fn field(text: &str) -> AuditedField {
    let mut rest = text.chars();
    let mut taken = |sign: &str| {
        let first = rest.clone().next().filter(|first| sign.contains(*first));
        if first.is_some() {
            rest.next();
        }
        first
    };
    let source = match taken("=~><@") {
        Some('=') => FieldSource::Field,
        Some('~') => FieldSource::Change,
        Some('>') => FieldSource::Returned,
        Some('<') => FieldSource::Error,
        Some(_) => FieldSource::Actor,
        None => FieldSource::Parameter,
    };
    let is_personal = taken("!").is_some();
    let capture = match taken("?%#-*") {
        Some('?') => FieldCapture::Debug,
        Some('%') => FieldCapture::Display,
        Some('#') => FieldCapture::Redacted,
        Some('-') => FieldCapture::LeftOut,
        Some(_) => FieldCapture::IfSerializable,
        None => FieldCapture::Value,
    };
    let name = match (source, rest.as_str()) {
        (FieldSource::Returned, "") => "result",
        (FieldSource::Error, "") => "error",
        (FieldSource::Actor, "") => "actor",
        (_, name) => name,
    };
    AuditedField { name: name.to_owned(), source, capture, is_personal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_of_a_field_is_read() {
        let about = About::of("air\na ?b !%c *d =#e ~!0 >! <? @! -f \naccount invoice \n7 src/main file.rs");
        assert!(about.has('i') && !about.has('x'));
        assert_eq!((about.line, about.file), (7, "src/main file.rs"));
        assert_eq!(about.also, ["account", "invoice"]);
        let shown: Vec<String> = about.fields.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "a",
                "b (debug)",
                "c (personal, display)",
                "d (if serialisable)",
                "e (redacted)",
                "0 (change, personal)",
                "result (personal)",
                "error (debug)",
                "actor (personal)",
                "f (left out)"
            ]
        );
    }

    #[test]
    fn a_text_of_nothing_has_no_parts() {
        assert_eq!(About::of(""), About::default());
    }
}
