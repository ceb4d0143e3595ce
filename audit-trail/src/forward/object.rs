//! A JSON object that is written member by member, with numbers as they are stored.

use audit_runtime::Json;
use std::fmt::Display;

/// The text of an object, without its end.
#[derive(Debug, Default)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a member whose value is JSON.
    pub(super) fn raw(mut self, name: &str, json: impl Display) -> Self {
        self.0 += if self.0.is_empty() { "{" } else { "," };
        self.0 += &format!("{}:{json}", Json::from(name));
        self
    }

    pub(super) fn text(self, name: &str, text: &str) -> Self {
        self.raw(name, Json::from(text))
    }

    /// Adds a text, unless there is none.
    pub(super) fn text_of(self, name: &str, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(name, text.as_ref()),
            None => self,
        }
    }

    /// Adds a value, unless there is none.
    pub(super) fn raw_of(self, name: &str, json: Option<impl Display>) -> Self {
        match json {
            Some(json) => self.raw(name, json),
            None => self,
        }
    }

    /// Adds an object, unless it has no member.
    pub(super) fn object(self, name: &str, object: Self) -> Self {
        if object.0.is_empty() { self } else { self.raw(name, object.end()) }
    }

    pub(super) fn end(self) -> String {
        if self.0.is_empty() { "{}".into() } else { self.0 + "}" }
    }
}

/// The text of an array.
pub(super) fn array(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}
