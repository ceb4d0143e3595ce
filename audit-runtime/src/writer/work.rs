//! The state that the lanes and the adoption of one writer share.

use super::failure_log::FailureLog;
use super::planner::Planner;
use std::cell::RefCell;
use tokio::sync::{Mutex, Notify};

/// The state that the lanes share.
///
/// They run on one thread, and nothing here is borrowed across an await.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) planner: RefCell<Planner>,
    /// Whose turn it is to cut a batch.
    pub(super) turn: Mutex<()>,
    pub(super) failures: FailureLog,
    /// Notified when a lane succeeds after a failure. The others need not wait longer then.
    pub(super) recovered: Notify,
}
