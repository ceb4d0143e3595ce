//! JSON that is written, and written anew: elements in one order, URLs without their passwords.

use super::Json;
use super::writer::JsonWriter;
use crate::capture::url::may_hold_url;

impl JsonWriter<'_> {
    /// Brings the elements of an array that is not closed yet into the order of their JSON. The
    /// first begins at `begin`.
    pub(super) fn sort_elements(&mut self, begin: usize, ends: &[usize]) {
        let mut elements = Vec::with_capacity(ends.len());
        let mut from = begin;
        for end in ends {
            elements.push(self.out[from..*end].to_vec());
            // A comma is between two.
            from = end + 1;
        }
        elements.sort_unstable();
        self.out.truncate(begin);
        self.out.extend_from_slice(&elements.join(&b','));
    }

    /// Masks URLs in a text that was written piece by piece. A text that has not kept its place has
    /// become a hash.
    #[inline]
    pub(super) fn mask_written_urls(&mut self, begin: usize) {
        if self.spilled.is_none() && may_hold_url(&self.out[begin..]) {
            self.mask_urls_of(begin);
        }
    }

    #[cold]
    pub(super) fn mask_urls_of(&mut self, begin: usize) {
        let written = std::str::from_utf8(&self.out[begin..]).ok().and_then(|json| json.parse().ok());
        if let Some(Json::String(text)) = written {
            self.out.truncate(begin);
            self.text_with_urls(&text);
        }
    }
}
