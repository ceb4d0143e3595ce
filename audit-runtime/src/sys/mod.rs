//! The system, as far as the other layers need it: the platform, forks, waits, private files,
//! secrets, warnings.

mod blocking;
mod deadline;
pub(crate) mod fork;
pub(crate) mod platform;
pub(crate) mod private_file;
#[cfg(any(feature = "evidence", feature = "personal"))]
pub(crate) mod secret;
#[cfg(test)]
mod unlocked;
mod warning;

pub(crate) use blocking::block_on;
pub(crate) use deadline::deadline;
#[cfg(test)]
pub(crate) use unlocked::unlocked;
pub(crate) use warning::RateLimited;
