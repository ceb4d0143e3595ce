//! Rows are removed after their retention, and the remaining data prove that all other rows are
//! still there.
//!
//! ```text
//! while others write   verified | held rows copied beside, and what arrives meanwhile too | the others exported, and read again
//! for a moment         locked; each month's partition dropped, and what was held put in its place; an event `audit.pruned` says who
//! ```
//!
//! Batches, their entries and their roots stay. `audit_pruned` lists which of a batch's rows are
//! gone. Its hash is in the event, which is sealed like any other. So
//! [`Verification`](crate::evidence::Verification) distinguishes pruned rows from deleted ones.

mod archive;
mod error;
mod month;
mod prune;

pub use error::PruneError;
pub use prune::{Prune, PruneReport};
