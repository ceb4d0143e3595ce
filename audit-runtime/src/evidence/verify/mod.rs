//! Verification: everything again, from the rows.
//!
//! ```text
//! tree     checkpoints' signatures; every batch in the tree is as it was, and the tree had their sizes and roots
//! chain    every batch has the root of the batch of its journal before it
//! pruned   what is said to have been pruned is what an event says
//! rows     every row has its entry, every entry its row, in the order that the root attests; in parallel
//! rest     rows that no batch has sealed
//! ```
//!
//! All of it sees one moment of the database, even if it takes long and others write meanwhile.

mod chain;
mod claims;
mod finding;
mod parts;
mod pruned;
mod rows;
mod tree;
mod verification;

pub use finding::{Finding, FindingKind, Report};
pub use verification::Verification;
pub(crate) use verification::VerificationStep;
