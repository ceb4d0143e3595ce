//! The system, as far as the other layers need it: the platform, forks, waits, private files,
//! warnings.

mod blocking;
mod deadline;
pub(crate) mod fork;
pub(crate) mod platform;
pub(crate) mod private_file;
mod warning;

pub(crate) use blocking::block_on;
pub(crate) use deadline::deadline;
pub(crate) use warning::RateLimited;
