//! The handle of an application, and how the layers below are put together for it.

mod begin_with;
mod builder;
mod bulk;
#[cfg(feature = "evidence")]
mod checkpoints;
mod handle;
#[cfg(feature = "postgres")]
mod last_resort;
#[cfg(not(feature = "policy"))]
mod no_policy;
mod on_exit;
mod receipt;
#[cfg(feature = "postgres")]
mod shipping;
mod start;
#[cfg(feature = "policy")]
mod with_policy;
#[cfg(feature = "postgres")]
mod with_postgres;

pub use builder::Builder;
pub use bulk::{Receipts, RecordAllError, RecordInError};
pub use handle::{AlreadyInstalled, Audit, ShutdownReport};
#[cfg(feature = "postgres")]
pub use last_resort::LastResort;
pub use receipt::Receipt;
pub use start::StartError;
