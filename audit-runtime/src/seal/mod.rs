//! Seals: digests of rows, whose form is the same for the same values, and trees over them.

mod batch;
pub(crate) mod canonical;
pub(crate) mod merkle;

pub(crate) use batch::{ENTRY, Entry, LeafForm, Link, Seal, Sealer, payload_entry};
#[cfg(feature = "evidence")]
pub(crate) use batch::{SEALED, Sealed, root, tree};
