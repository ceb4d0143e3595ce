//! JSON without a loss: every digit of a number, every level of a value.

mod by_serde;
mod convert;
mod decimal;
mod parse;

pub(super) use by_serde::RAW;
pub(super) use decimal::fits_numeric;
pub(crate) use parse::parse_repairing;

use super::escape;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Index;

/// A JSON value whose numbers are texts, so that none is rounded.
///
/// `199.39999999999998`, `1e400` and an integer of 300 digits keep every digit.
///
/// ```
/// use audit_runtime::Json;
/// use serde_json::json;
///
/// let data: Json = r#"{"price": 199.39999999999998, "max": 1e400, "tags": ["a"]}"#.parse()?;
/// assert_eq!(data["price"], 199.39999999999998);
/// assert_eq!(data["max"].to_string(), "1e400");
/// assert_eq!(data["tags"], json!(["a"]));
/// assert!(data["missing"]["further"].is_null());
/// # Ok::<(), audit_runtime::JsonError>(())
/// ```
///
/// Two values are equal if they are equal for PostgreSQL's `jsonb`. Numbers are compared by their
/// value (`1.0` and `1`), and objects regardless of the order of their members. A floating-point
/// number is equal to the number that `serde_json` writes for it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(JsonNumber),
    /// A text.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object. Of members with the same name it has the last.
    Object(BTreeMap<String, Json>),
    /// An array or object below 128 others is its JSON as a text, so that no walk of a value
    /// exhausts a stack.
    Deep(DeepJson),
}

/// A number of a [`Json`], as the text that stands for it in JSON.
#[derive(Clone)]
pub struct JsonNumber(Box<str>);

/// The text of an array or object that lies too deep in a [`Json`] to be part of its tree.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DeepJson(Box<str>);

/// Reports where a text departs from JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {at}: expected {expected}")]
pub struct JsonError {
    at: usize,
    expected: &'static str,
}

impl JsonError {
    /// Returns the byte where the text departs from JSON.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }
}

static NULL: Json = Json::Null;

impl JsonNumber {
    /// Returns the number's text, with every digit.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeepJson {
    /// Returns its JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Json {
    /// Returns the member of this name, if this is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// Returns whether this is `null`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns whether this is a number.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// Returns whether this is a string.
    #[must_use]
    pub const fn is_string(&self) -> bool {
        matches!(self, Self::String(_))
    }

    /// Returns whether this is an array.
    #[must_use]
    pub const fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// Returns whether this is an object.
    #[must_use]
    pub const fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Returns the Boolean that this is.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the string that this is.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number that this is, with every digit.
    #[must_use]
    pub const fn as_number(&self) -> Option<&JsonNumber> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the integer, if it fits an `i64` and is written as an integer.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.0.parse().ok()
    }

    /// Returns the integer, if it fits a `u64` and is written as an integer.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.0.parse().ok()
    }

    /// Returns the nearest floating-point number, or `None` beyond the largest one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.0.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Returns the elements of the array that this is.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// Returns the members of the object that this is, by their names.
    #[must_use]
    pub const fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the members of the object that this is, to be changed.
    #[must_use]
    pub const fn as_object_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the same value for `serde_json`, which may round.
    ///
    /// A number that is neither a 64-bit integer nor a floating-point number becomes the nearest of
    /// these. A number beyond all of them becomes its text, and so does anything below 128 arrays
    /// and objects.
    #[must_use]
    pub fn value(&self) -> serde_json::Value {
        self.into()
    }

    /// Reads JSON that is known to be valid. Anything else becomes a text.
    pub(crate) fn read(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| Self::String(text.to_owned()))
    }

    #[cfg(feature = "postgres")]
    /// Returns it as the writer stores it: a number that PostgreSQL refuses is a text.
    pub(crate) fn storable(&self) -> Self {
        match self {
            Self::Number(number) if !fits_numeric(&number.0) => Self::from(&*number.0),
            Self::Array(values) => values.iter().map(Self::storable).collect(),
            Self::Object(members) => members.iter().map(|(name, value)| (name.clone(), value.storable())).collect(),
            other => other.clone(),
        }
    }

    /// Makes a number of a text that is one in JSON.
    fn number(text: impl Into<Box<str>>) -> Self {
        Self::Number(JsonNumber(text.into()))
    }

    /// Appends its JSON, without blanks.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Number(number) => out.extend_from_slice(number.0.as_bytes()),
            Self::String(text) => write_text(text, out),
            Self::Array(values) => {
                out.push(b'[');
                for (number, value) in values.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (number, (name, value)) in members.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    write_text(name, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
            Self::Deep(deep) => out.extend_from_slice(deep.0.as_bytes()),
        }
    }
}

/// Appends a text as a JSON string.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text.as_bytes(), out);
    out.push(b'"');
}

impl fmt::Display for Json {
    /// Writes JSON, and with `{:#}` on several lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?);
        }
        let mut out = Vec::new();
        self.write(&mut out);
        f.pad(&String::from_utf8_lossy(&out))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for JsonNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for JsonNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeepJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Index<&str> for Json {
    type Output = Self;

    /// Returns the member of this name, or `null`.
    fn index(&self, name: &str) -> &Self {
        self.get(name).unwrap_or(&NULL)
    }
}

impl Index<&String> for Json {
    type Output = Self;

    fn index(&self, name: &String) -> &Self {
        &self[name.as_str()]
    }
}

impl Index<String> for Json {
    type Output = Self;

    fn index(&self, name: String) -> &Self {
        &self[name.as_str()]
    }
}

impl Index<usize> for Json {
    type Output = Self;

    /// Returns the element at this place, or `null`.
    fn index(&self, at: usize) -> &Self {
        self.as_array().and_then(|values| values.get(at)).unwrap_or(&NULL)
    }
}

impl PartialEq for JsonNumber {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || decimal::is_same(&self.0, &other.0)
    }
}

impl Eq for JsonNumber {}

impl Hash for JsonNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        decimal::hash(&self.0, state);
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => one == other,
            (Self::String(one), Self::String(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Object(one), Self::Object(other)) => one == other,
            (Self::Deep(one), Self::Deep(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Json {}

impl Hash for Json {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            Self::Number(number) => number.hash(state),
            Self::String(text) => text.hash(state),
            Self::Array(values) => values.hash(state),
            Self::Object(members) => members.hash(state),
            Self::Deep(deep) => deep.hash(state),
        }
    }
}

#[cfg(test)]
mod tests;
