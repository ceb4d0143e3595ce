//! The form of an encrypted value, which readers recognise without the means to decrypt it.

use crate::capture::json::Json;
use uuid::Uuid;

/// The only member of an encrypted value.
pub(super) const ENCRYPTED: &str = "$encrypted";
/// The beginning of an encrypted actor.
pub(super) const ENCRYPTED_FORM: &str = r#"{"$encrypted":"#;

/// Returns the key's id and the text of an encrypted value.
pub(super) fn encrypted(value: &Json) -> Option<(Uuid, &str)> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?.get(ENCRYPTED)?;
    Some((fields["key"].as_str()?.parse().ok()?, fields["value"].as_str()?))
}
