//! The fields of an event's data: into the bytes of a record, and never in the way of the call they
//! belong to.

use super::json::{Json, JsonWriter};
use super::mask::REDACTED;
use super::notes::{failure, truncated};
use super::personal::{MARK, SUBJECT};
use super::raw::{self, MOST_JSON};
use super::rules::Rules;
use super::text::panic_message;
use serde::{Serialize, Serializer as _};
use sha2::{Digest, Sha256};
use std::fmt::{Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A JSON object that grows field by field, each with a comma behind it, behind what its buffer
/// holds already.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(super) buffer: Vec<u8>,
    begin: usize,
    next: Next,
    /// Whose the next value is, if not the event's subject's.
    owner: Option<String>,
    /// While the buffer is at most that long, simple values are put as they are. Masking and limits
    /// do not apply to them.
    pub(super) raw_to: usize,
}

/// How the next field is captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Next {
    /// A value like any other.
    #[default]
    Plain,
    /// Personal: it is marked.
    Personal,
    /// Personal, where that cannot be encrypted.
    Redacted,
}

impl Fields {
    /// Begins the object at the end of `buffer`.
    pub(crate) fn new(mut buffer: Vec<u8>) -> Self {
        let begin = buffer.len();
        buffer.push(b'{');
        Self { buffer, begin, next: Next::Plain, owner: None, raw_to: 0 }
    }

    /// Sets how the next field is captured.
    pub(crate) fn next(&mut self, next: Next) {
        self.next = next;
        self.owner = None;
        self.raw_to = 0;
    }

    /// Marks the next field as personal, and as this subject's.
    pub(crate) fn next_of(&mut self, subject: String) {
        self.next(Next::Personal);
        self.owner = Some(subject);
    }

    /// Copies what there is so far, and ends the copy.
    pub(crate) fn copy_to(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.buffer);
        end(buffer, self.begin);
    }

    /// Ends the object, and returns the buffer.
    #[inline]
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        end(&mut self.buffer, self.begin);
        &mut self.buffer
    }

    /// Begins another object in the same buffer, behind what is put there.
    #[inline]
    pub(crate) fn restart(&mut self, rules: &Rules, before: impl FnOnce(&mut Vec<u8>)) {
        before(&mut self.buffer);
        self.begin = self.buffer.len();
        self.buffer.push(b'{');
        self.plain(rules);
    }

    /// The next field is like any other.
    #[inline]
    pub(super) fn plain(&mut self, rules: &Rules) {
        self.next = Next::Plain;
        self.raw_to = if rules.mask.is_empty() { self.begin.saturating_add(rules.limit / MOST_JSON) } else { 0 };
    }

    /// Returns how many bytes of the object there are.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.begin
    }

    /// Returns the capacity of the buffer in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// A value by serde.
    pub(crate) fn serialize<T: Serialize + ?Sized>(&mut self, rules: &Rules, name: &str, value: &T) {
        self.field(rules, name, &mut |json| value.serialize(json));
    }

    /// A value by its `Display`.
    pub(crate) fn display<T: Display + ?Sized>(&mut self, rules: &Rules, name: &str, value: &T) {
        self.field(rules, name, &mut |json| json.collect_str(value));
    }

    /// A value by its `Debug`.
    pub(crate) fn debug<T: Debug + ?Sized>(&mut self, rules: &Rules, name: &str, value: &T) {
        self.field(rules, name, &mut |json| json.collect_str(&format_args!("{value:?}")));
    }

    /// Puts what `write` writes under `name`. If it fails or panics, the field reports it, and
    /// nothing else changes. If the object becomes too large, its length and hash stand in its
    /// place.
    ///
    /// The one way in, behind a `dyn`, so that an annotated function brings little code of its own.
    pub(crate) fn field(
        &mut self,
        rules: &Rules,
        name: &str,
        write: &mut dyn FnMut(&mut JsonWriter<'_>) -> serde_json::Result<()>,
    ) {
        self.buffer.reserve(name.len() + 64);
        self.buffer.push(b'"');
        // Names are Rust identifiers, "result", "error", or checked by the macro: nothing in them
        // needs escaping.
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
        match self.next {
            Next::Plain if !rules.mask.names(name) => self.value(rules, write),
            Next::Personal if !rules.mask.names(name) => {
                self.buffer.extend_from_slice(MARK.as_bytes());
                self.value(rules, write);
                if let Some(subject) = self.owner.take() {
                    self.buffer.extend_from_slice(format!(",{SUBJECT:?}:{}", Json::from(subject)).as_bytes());
                }
                self.buffer.push(b'}');
            }
            _ => {
                let _ = serde_json::to_writer(&mut self.buffer, REDACTED);
            }
        }
        self.buffer.push(b',');
        self.plain(rules);
    }

    fn value(&mut self, rules: &Rules, write: &mut dyn FnMut(&mut JsonWriter<'_>) -> serde_json::Result<()>) {
        let begin = self.buffer.len();
        let room = (self.begin + rules.limit.min(usize::MAX / 2)).max(begin);
        let mut json = JsonWriter::new(&mut self.buffer, &rules.mask, room);
        let written = catch_unwind(AssertUnwindSafe(|| write(&mut json)));
        match (written, json.end()) {
            (Ok(Ok(())), None) => self.check_limit(rules, begin),
            (Ok(Ok(())), Some((bytes, hash))) => self.buffer.extend_from_slice(truncated(bytes, &hash).as_bytes()),
            (Ok(Err(error)), _) => self.failed(begin, &error.to_string()),
            (Err(panic), _) => self.failed(begin, &format!("panicked: {}", panic_message(panic.as_ref()))),
        }
    }

    /// Replaces the value that begins here if the object is too large with it: simple values before
    /// it take more once they are JSON.
    #[inline]
    fn check_limit(&mut self, rules: &Rules, begin: usize) {
        if self.buffer.len() - self.begin > rules.limit / MOST_JSON {
            self.check_json_limit(rules, begin);
        }
    }

    fn check_json_limit(&mut self, rules: &Rules, begin: usize) {
        let (before, value) = self.buffer[self.begin..].split_at(begin - self.begin);
        let mut json = Vec::new();
        let before = raw::json(before, &mut json).map_or(before.len(), <[u8]>::len);
        if before + value.len() > rules.limit {
            let truncated = truncated(value.len() as u64, &Sha256::digest(value));
            self.buffer.truncate(begin);
            self.buffer.extend_from_slice(truncated.as_bytes());
        }
    }

    #[cold]
    fn failed(&mut self, begin: usize, error: &str) {
        self.buffer.truncate(begin);
        self.buffer.extend_from_slice(failure(error).as_bytes());
    }
}

/// Ends an object that begins here: each of its fields has a comma behind it.
#[inline]
fn end(buffer: &mut Vec<u8>, begin: usize) {
    if buffer.len() > begin + 1 {
        buffer.pop();
    }
    buffer.push(b'}');
}
