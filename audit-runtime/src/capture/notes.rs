//! Notes that stand in place of values.

use super::json::Json;
use super::url::mask_urls;
use sha2::{Digest, Sha256};

/// Returns the note of a value that cannot be captured.
pub(super) fn failure(error: &str) -> String {
    [("$error", &*mask_urls(error))].into_iter().collect::<Json>().to_string()
}

/// Returns the note that replaces data over the limit.
pub(super) fn truncated(bytes: u64, hash: &[u8]) -> String {
    format!(r#"{{"$truncated":{bytes},"$sha256":"{}"}}"#, hex::encode(hash))
}

/// Returns what stands in place of this JSON.
pub(crate) fn truncated_json(json: &str) -> String {
    truncated(json.len() as u64, &Sha256::digest(json))
}
