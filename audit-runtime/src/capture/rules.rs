//! The limit and the mask of captured data.

use super::json::{Json, JsonWriter};
use super::mask::Mask;
use super::notes::{failure, truncated};
use super::value::written;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The most bytes of data, by default.
pub(crate) const DATA_LIMIT: usize = 64 * 1024;

/// The size limit and the mask of an event's data.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The most bytes of data.
    pub(crate) limit: usize,
    pub(crate) mask: Mask,
}

impl Rules {
    /// The rules of data that is made before its handle is known.
    pub(crate) const UNBOUND: &'static Self = &Self { limit: usize::MAX, mask: Mask::NONE };

    /// Data that is JSON already, with the rules that were added since it was made.
    #[inline]
    pub(crate) fn apply_limits<'a>(&self, data: &'a str) -> Cow<'a, str> {
        if data.is_empty() {
            return Cow::Borrowed(data);
        }
        self.apply_to(data)
    }

    fn apply_to<'a>(&self, data: &'a str) -> Cow<'a, str> {
        let mut data = Cow::Borrowed(data);
        if !self.mask.is_empty()
            && let Ok(json) = data.parse::<Json>()
        {
            let masked = written(JsonWriter::again(&mut Vec::new(), &self.mask), &json);
            data = Cow::Owned(masked.unwrap_or_else(|error| failure(&error)));
        }
        if data.len() > self.limit {
            data = Cow::Owned(truncated(data.len() as u64, &Sha256::digest(data.as_bytes())));
        }
        data
    }
}
