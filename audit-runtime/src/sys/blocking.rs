//! Waits for a future without a runtime, or in one whose thread may be blocked.

use std::future::Future;

/// Blocks the thread until the future is ready. Inside of a tokio task, its own budget for such
/// waits must not matter. Once that is spent, tokio postpones every wake-up until the task yields,
/// which a blocked thread never does.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    pollster::block_on(tokio::task::unconstrained(future))
}
