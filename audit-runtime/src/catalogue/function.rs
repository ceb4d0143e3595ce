//! An annotated function, as its attribute describes it.

use serde::{Deserialize, Serialize};

/// Describes a function with `#[audited]`, as its attribute states it.
///
/// Its `Display` is the text of [`testing::catalogue`](crate::testing::catalogue).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AuditedFunction {
    /// The path of the module, and the name: `desk::orders::submit`.
    pub function: String,
    /// The source file, as the compiler was given it, with `/` between folders.
    pub file: String,
    /// The line of the name, counted from 1.
    pub line: u32,
    /// The event types that the compiler knows: of a success, then of a failure.
    pub events: Vec<String>,
    /// Whether the call decides an event type: a closure, or a constant of a type.
    pub has_late_events: bool,
    /// The entity's type, if it is a literal.
    pub entity_type: Option<String>,
    /// Whether the event has an entity's id.
    pub has_id: bool,
    /// The types of further entities.
    pub also: Vec<String>,
    /// Whether the attribute states the tenant.
    pub has_tenant: bool,
    /// The actor, if it is a literal.
    pub actor: Option<String>,
    /// Whether the attribute states the actor.
    pub has_actor: bool,
    /// The parts of the event's data, and the parameters that are left out.
    pub fields: Vec<AuditedField>,
    /// When the record exists.
    pub guarantee: Guarantee,
    /// Whether the row is stored in the caller's transaction.
    pub is_in_transaction: bool,
    /// Whether the function is asynchronous, or returns a future.
    pub is_async: bool,
    /// Whether a condition decides which calls are recorded.
    pub is_conditional: bool,
}

impl AuditedFunction {
    /// Returns the fields that are personal data.
    pub fn personal(&self) -> impl Iterator<Item = &AuditedField> {
        self.fields.iter().filter(|field| field.is_personal)
    }
}

/// Describes a part of an event's data, or a parameter that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditedField {
    /// The key in the event's data.
    pub name: String,
    /// The argument or value that it comes from.
    pub source: FieldSource,
    /// The form in which it is captured.
    pub capture: FieldCapture,
    /// Whether it is marked as personal, and so encrypted.
    pub is_personal: bool,
}

/// Names the origin of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldSource {
    /// A parameter of the function.
    Parameter,
    /// An entry of `fields(..)`.
    Field,
    /// An entry of `changes(..)`: the value before and after the call.
    Change,
    /// The value that the function returns.
    // With the name `Result`, the compiler would no longer shorten that of the type in its messages.
    #[serde(rename = "result")]
    Returned,
    /// The error that it returns.
    Error,
    /// The actor, a column beside the data.
    Actor,
    /// An origin that only a newer version knows.
    #[serde(other)]
    Unknown,
}

/// Names the form in which a field is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldCapture {
    /// As JSON, by serde.
    Value,
    /// As a text, by `Debug`.
    Debug,
    /// As a text, by `Display`.
    Display,
    /// The record states that there was a value, and not which.
    Redacted,
    /// Not at all.
    LeftOut,
    /// As JSON if serde knows its type, otherwise not at all. By its type's name, it is a part of
    /// the program.
    IfSerializable,
    /// In a form that only a newer version knows.
    #[serde(other)]
    Unknown,
}

/// Names the moment from which a call's record exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Guarantee {
    /// Once the call returns.
    #[default]
    Journal,
    /// Before the body runs, and once the call returns.
    Intent,
    /// As for `intent`, and the body runs only once that is on disk.
    Required,
    /// A moment that only a newer version knows.
    #[serde(other)]
    Unknown,
}
