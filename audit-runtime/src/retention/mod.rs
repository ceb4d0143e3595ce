//! Rows are removed after their retention, and the remaining data prove that all other rows are
//! still there.
//!
//! ```text
//! while others write   verified | what stays copied beside, and what arrives meanwhile too | the others exported, and read again
//! for a moment         locked; each month's partition dropped, and what stays put in its place; an event `audit.pruned` says who
//! ```
//!
//! Where a filter selects less than a tenth of a month, its rows are deleted instead, some thousand in
//! each transaction. The trigger that refuses deletions lets those pass that the same transaction
//! accounts for.
//!
//! Batches, their entries and their roots stay. `audit_pruned` lists which of a batch's rows are
//! gone. Its hash is in the event, which is sealed like any other. So
//! [`Verification`](crate::evidence::Verification) distinguishes pruned rows from deleted ones.

mod archive;
mod error;
mod filter;
mod going;
mod holds;
mod kept;
mod month;
mod prune;
mod reimport;
mod settings;
mod target;
mod unsent;

pub use error::{HoldError, PruneError, ReimportError};
pub use filter::PruneFilter;
pub use holds::{AddedHold, Hold, HoldStatus, LiftedHold};
pub(crate) use holds::{add as add_hold, lift as lift_hold, list as list_holds};
pub use kept::{Kept, KeptRows};
pub use prune::PruneReport;
pub use reimport::ReimportReport;
pub(crate) use reimport::reimport;
pub use settings::Prune;
