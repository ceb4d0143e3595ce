//! The journal: an append-only, memory-mapped queue of records between the callers and the writer.
//!
//! # Constraints
//!
//! - A caller takes no lock, makes no system call, waits for nobody: one compare-and-swap and one
//!   copy. (For a new block, a second.)
//! - A record whose append returned outlives its process, SIGKILL included: the page cache holds
//!   it.
//! - A record that a thread had claimed and not published when its process died hides no later one.
//! - The bytes on disk are bounded. An event that does not fit is refused and counted, or waited
//!   for, and never dropped silently.
//! - A full disk is an error when room is made, never a SIGBUS when it is written: on the file
//!   systems that [`filesystem`] knows.
//! - Two live processes never share a journal. A dead one's is adopted by exactly one other.
//! - The payload is opaque here: the journal knows nothing of events or of PostgreSQL.
//!
//! # Layout
//!
//! [`format`] draws the bytes, and [`directory`] the files and locks.
//!
//! # Writing, reading, deleting, recovery
//!
//! [`segment`] holds the protocol of claim, publish, read and retire, and with it all `unsafe`.
//! [`growth`] makes room ahead of the callers (by a housekeeping thread that claims wake when room
//! gets short) and ends segments early. [`live`] removes them once the writer has acknowledged
//! their records, [`durability`] syncs them. [`recovery`] reads what a dead process left.

mod bench;
pub(crate) mod checksum;
#[cfg(feature = "postgres")]
mod contents;
#[cfg(feature = "postgres")]
mod cut_log;
mod directory;
mod directory_limit;
mod durability;
mod error;
mod filesystem;
mod fill;
pub(crate) mod format;
mod growth;
pub(crate) mod housekeeping;
pub(crate) mod inspect;
#[cfg(feature = "postgres")]
pub(crate) mod kept;
mod limits;
mod live;
#[cfg(all(test, not(audit_loom), not(miri)))]
mod model_tests;
mod parent_directory;
#[cfg(feature = "postgres")]
mod recovery;
mod scan;
mod segment;
mod state;

pub use bench::BenchedJournal;
#[cfg(feature = "postgres")]
pub(crate) use contents::{Content, is_name, make_lock};
#[cfg(feature = "postgres")]
pub(crate) use cut_log::{Cut, CutLog, Noticed};
#[cfg(feature = "postgres")]
pub(crate) use directory::Directory;
pub(crate) use directory::is_held;
pub(crate) use error::AppendError;
pub use error::JournalError;
pub(crate) use limits::Limits;
pub use limits::Overflow;
pub(crate) use live::Journal;
pub(crate) use parent_directory::Parent;
#[cfg(feature = "postgres")]
pub(crate) use recovery::Orphan;
#[cfg(feature = "postgres")]
pub(crate) use scan::RecoveredRecord;
#[cfg(any(fuzzing, test))]
pub(crate) use scan::scan;
#[cfg(feature = "postgres")]
pub(crate) use segment::Record;
pub(crate) use segment::{Next, Writing};
pub(crate) use state::NotSynced;
