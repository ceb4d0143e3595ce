//! A value as JSON by serde, without the values of secret-looking keys, within [`MAX_DEPTH`] and
//! the available room. JSON is also read back without a loss.
//!
//! It writes what `serde_json` writes, byte for byte, but for secrets. `serde_json`'s own
//! serializer, with a formatter that looks for secrets, took five times as long for small values,
//! and seven times for nested ones. A formatter cannot recognise a repeated key. Every piece of
//! punctuation went through a writer that had to ask whether to write it.
//!
//! [`MAX_DEPTH`]: crate::capture::mask::MAX_DEPTH

mod compound;
mod escape;
mod exact;
mod float;
mod id;
mod key;
mod reserved_buf;
mod rewrite;
mod serializer;
mod writer;

pub(crate) use escape::{escape, plain};
pub use exact::{DeepJson, Json, JsonError, JsonNumber};
pub(crate) use exact::{parse_repairing, write_text};
pub(crate) use float::{FLOAT, float};
pub(crate) use id::id;
pub(crate) use reserved_buf::ReservedBuf;
pub(crate) use writer::{HASH, JsonWriter};

#[cfg(test)]
mod tests;
