//! Values become data: fields of an event, as JSON or as what becomes JSON when it is read.

mod captured;
pub(crate) mod diagnostics;
pub(crate) mod diff;
pub(crate) mod error_text;
mod fields;
mod instant;
pub(crate) mod json;
mod key;
pub(crate) mod mask;
mod notes;
pub(crate) mod nul;
pub(crate) mod personal;
pub(crate) mod raw;
mod rules;
mod scalar;
pub(crate) mod secret;
mod text;
pub(crate) mod url;
mod value;

pub use captured::Captured;
pub(crate) use fields::{Fields, Next};
pub use json::{DeepJson, Json, JsonError, JsonNumber};
pub use key::Key;
pub(crate) use notes::truncated_json;
pub(crate) use rules::{DATA_LIMIT, Rules};
pub(crate) use scalar::Scalar;
pub(crate) use text::{panic_message, panic_text, text};
pub(crate) use value::{comparable, to_json};

#[cfg(test)]
mod tests;
