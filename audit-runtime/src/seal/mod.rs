//! Seals: digests of rows, whose form is the same for the same values, and trees over them.

mod batch;
pub(crate) mod canonical;
pub(crate) mod merkle;

#[cfg(feature = "evidence")]
pub(crate) use batch::{ENTRY, SEALED, Sealed, root, tree};
pub(crate) use batch::{Entry, LeafForm, Link, Seal, Sealer, payload_entry};
