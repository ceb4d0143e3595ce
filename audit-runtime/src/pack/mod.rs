//! Journals of dead processes, packed into one file: for a machine whose disk goes with it.
//!
//! ```text
//! file      = header body sha256 [32] of all bytes before it
//! header    = magic "AUDITPCK" [8] | version u16 | flags u16 | bytes of the whole file u64 | id of the file [16]
//!           | if it is encrypted, its wrapped key [72]
//! flags     = 1 it is encrypted
//! body      = contents, or if it is encrypted, contents in chunks of 1 MiB, each 16 bytes longer
//! contents  = bytes of the manifest u32 | manifest | the bytes of all files, in its order
//! manifest  = {"journals": [{"id": UUID, "events": 7, "personal": 0, "files": [{"name": "..", "bytes": 65536}, ..]}, ..]}
//! ```
//!
//! Integers are little endian. The files are those of the journal's directory as they are:
//! segments and cut log. So a journal that is unpacked is adopted like any other. Its batches have
//! the ranges and roots that they had, and PostgreSQL stores each once. That holds, too, if the
//! file is shipped twice, or if the directory comes back.

mod chunks;
mod destination;
mod error;
mod manifest;
mod read;
mod write;

pub(crate) use destination::Destination;
pub use error::PackError;
pub use manifest::{PackReport, PackedJournal};
pub(crate) use read::unpack;
pub(crate) use write::{must_not_be_clear, pack, was_used};

/// The first bytes of a file.
const MAGIC: [u8; 8] = *b"AUDITPCK";
const VERSION: u16 = 1;
const ENCRYPTED: u16 = 1;
/// Bytes of a header, without a key.
const HEADER: usize = 8 + 2 + 2 + 8 + 16;
/// Bytes of the hash at the end.
const HASH: u64 = 32;
/// The ending of the names of such files.
pub(crate) const ENDING: &str = "auditpack";
