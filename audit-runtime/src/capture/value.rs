//! One value, written as JSON by serde.

use super::json::{Json, JsonError, JsonWriter};
use super::mask::Mask;
use super::text::panic_message;
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Writes one value by serde as JSON, with the known secrets masked.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, String> {
    written(JsonWriter::new(&mut Vec::new(), &Mask::NONE, usize::MAX), value)
}

/// Takes one value by serde to be compared with another: see [`JsonWriter::for_comparison`].
pub(crate) fn comparable<T: Serialize + ?Sized>(mask: &Mask, value: &T) -> Result<Json, String> {
    let json = written(JsonWriter::for_comparison(&mut Vec::new(), mask), value)?;
    json.parse().map_err(|error: JsonError| error.to_string())
}

pub(super) fn written<T: Serialize + ?Sized>(mut json: JsonWriter<'_>, value: &T) -> Result<String, String> {
    match catch_unwind(AssertUnwindSafe(|| value.serialize(&mut json))) {
        Ok(Ok(())) => json.into_text(),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_message(panic.as_ref()))),
    }
}
