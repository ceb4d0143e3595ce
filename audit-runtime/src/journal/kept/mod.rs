//! Kept batches: copies of what was stored, for a database that goes back in time.
//!
//! A standby that is promoted may lack the last commits, and a backup lacks all behind it. The
//! journal has let go of these events already. So a process that was asked to keeps a copy of each
//! batch for a while, beside the journals:
//!
//! ```text
//! <directory of the journals>/kept/<id, a UUID of version 7>.kept
//!
//! file   = magic "AUDITKPT" [8] | version u16 | 0 [6] | seconds that its batches are kept u64
//! entry  = bytes u32 | crc32c u32 of these bytes | bytes
//! bytes  = time i64, microseconds | journal id [16] | first position u64 | the batch, opaque here
//! ```
//!
//! Integers are little endian. A process appends to a file of its own, and begins another one when
//! that is large or old. Every process that keeps batches removes files whose time is over. An entry
//! at the end that is not whole was being written when its process or its machine stopped.

mod format;
mod keeper;
mod reader;
#[cfg(test)]
mod tests;

pub(crate) use keeper::Keeper;
pub(crate) use reader::{KeptBatch, Listed, list};
