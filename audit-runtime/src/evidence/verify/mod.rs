//! Verification: everything again, from the rows.
//!
//! ```text
//! tree     checkpoints' signatures; every batch in the tree is as it was, and the tree had their sizes and roots
//! stamps   time stamps are of their checkpoints, and verify
//! chain    every batch has the root of the batch of its journal before it
//! pruned   what is said to have been pruned is what an event says
//! holds    what is held, and what was lifted, is what events say
//! rows     every row has its entry, every entry its row, in the order that the root attests; in parallel
//! rest     rows that no batch has sealed
//! ```
//!
//! All of it sees one moment of the database, even if it takes long and others write meanwhile.

mod chain;
mod claims;
mod finding;
mod holds;
mod offline;
mod parts;
mod pruned;
mod rows;
#[cfg(feature = "timestamp")]
mod stamps;
mod tree;
mod verification;

pub use finding::{Finding, FindingKind, Report};
pub use offline::OfflineTree;
pub(crate) use rows::refused_entries;
#[cfg(feature = "timestamp")]
pub use stamps::Stamps;
pub use verification::Verification;
pub(crate) use verification::VerificationStep;
