//! Event types of the library's own, `audit.*`.

/// Events were lost, for the journal was full.
pub(crate) const GAP: &str = "audit.gap";
/// Rules of a policy came into force.
pub(crate) const POLICY_CHANGED: &str = "audit.policy_changed";
/// Calls were left out by a rule, and no later one of them reports that.
pub(crate) const THINNED_OUT: &str = "audit.thinned_out";
#[cfg(feature = "postgres")]
/// A call whose intent is on record did not end.
pub(crate) const INTERRUPTED: &str = "audit.interrupted";
#[cfg(feature = "evidence")]
/// A subject's key was destroyed.
pub(crate) const FORGOTTEN: &str = "audit.forgotten";
#[cfg(feature = "evidence")]
/// The database went back in time, and the log goes on under another name.
pub(crate) const RESTORED: &str = "audit.restored";
#[cfg(feature = "evidence")]
/// Rows were pruned.
pub(crate) const PRUNED: &str = "audit.pruned";
#[cfg(feature = "evidence")]
/// Events may be neither pruned nor forgotten from now on.
pub(crate) const HELD: &str = "audit.held";
#[cfg(feature = "evidence")]
/// A hold was lifted.
pub(crate) const RELEASED: &str = "audit.released";
#[cfg(feature = "evidence")]
/// Pruned rows came back from an archive.
pub(crate) const REIMPORTED: &str = "audit.reimported";
