//! A value by serde as JSON, without what secret-looking keys hold, no deeper than [`MAX_DEPTH`], and no longer than there is room; and
//! JSON that is read back without a loss.
//!
//! It writes what `serde_json` writes, byte for byte, but for secrets. `serde_json`'s own serializer, with a formatter that looks
//! for secrets, took five times as long for small values, and seven times for nested ones: a formatter does not know that a key is
//! the same as last time, and every piece of punctuation went through a writer that had to ask whether it is to be written.
//!
//! [`MAX_DEPTH`]: crate::mask::MAX_DEPTH

mod compound;
mod escape;
mod exact;
mod float;
mod id;
mod key;
mod room;
mod serializer;
mod writer;

pub(crate) use escape::{escape, plain};
pub use exact::{DeepJson, Json, JsonError, JsonNumber};
pub(crate) use exact::{parse_repairing, write_text};
pub(crate) use float::{FLOAT, float};
pub(crate) use id::id;
pub(crate) use room::Room;
pub(crate) use writer::{HASH, JsonWriter};

#[cfg(test)]
mod tests;
