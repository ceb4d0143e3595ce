//! The taker of events that a shutdown could not ship.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// The journals that a last resort has taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The journal of this process, with all of its events that wait.
    pub(crate) is_own: bool,
    /// Journals of ended processes.
    pub(crate) inherited: u64,
}

/// Takes what is left in the journal's directory, once the writer has ended.
pub(crate) trait LastResort: Send + Sync + fmt::Debug {
    /// Takes as much as it can, in bounded time.
    fn take(&self) -> Pin<Box<dyn Future<Output = Taken> + Send + '_>>;
}
