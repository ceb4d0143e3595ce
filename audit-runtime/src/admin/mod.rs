//! Administration: the tables and their roles, retention, the quarantine, and the journals that
//! wait on a disk.

#[cfg(feature = "evidence")]
mod evidence;
#[cfg(feature = "postgres")]
mod handle;
#[cfg(feature = "postgres")]
mod inspect;
mod journals;
#[cfg(feature = "postgres")]
mod packs;
#[cfg(feature = "personal")]
mod personal;
#[cfg(feature = "postgres")]
mod progress;
#[cfg(feature = "postgres")]
mod quarantine;
#[cfg(feature = "postgres")]
mod replay;
#[cfg(feature = "evidence")]
mod retention;
#[cfg(feature = "postgres")]
mod tables;

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use crate::pack::{PackError, PackReport, PackedJournal};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use crate::postgres::{RightsProblem, RightsProblemKind, Role, SchemaProblem, SchemaProblemKind};
#[cfg(feature = "personal")]
#[cfg_attr(docsrs, doc(cfg(feature = "personal")))]
pub use crate::privacy::{ForgetReport, MasterKeyCheck, MasterKeyRotation};
#[cfg(feature = "evidence")]
#[cfg_attr(docsrs, doc(cfg(feature = "evidence")))]
pub use crate::retention::{
    AddedHold, Hold, HoldError, HoldStatus, LiftedHold, Prune, PruneError, PruneFilter, PruneReport, ReimportError,
    ReimportReport,
};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use handle::Admin;
pub use journals::{JournalState, JournalStatus, journals};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use packs::JournalPack;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use progress::Progress;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use quarantine::{QuarantinedEvent, RetryOutcome};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use replay::{Replay, ReplayError, ReplayReport};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use tables::{Compaction, MigrationStep};
