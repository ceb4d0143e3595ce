//! The language of services and relays: requests and their answers, over any stream of bytes.
//!
//! ```text
//! frame   = header bytes u32 | body bytes u32 | crc32c u32 of header and body | header | body
//! header  = JSON: {"number": n, "ask": {..}} of a service, {"number": n, "answer": {..}} of a relay
//! ```
//!
//! Integers are little endian. The first request is a greeting that states the format of the rest. An
//! answer repeats the number of its request. A service ignores an answer to anything else, for
//! example one that comes twice.

mod batch;
mod frame;
mod message;
mod parts;
mod with_keys;

pub(crate) use batch::{decode, encode};
pub(crate) use frame::{Frame, announced, read, write};
pub(crate) use message::{Answer, Answered, Asked, KeyText, Question, StoredText};
#[cfg(feature = "nats")]
pub(crate) use with_keys::key_of;
pub(crate) use with_keys::{decode_with_keys, encode_with_keys};

/// The format of messages and batches that this version speaks.
pub(crate) const FORMAT: u16 = 1;
