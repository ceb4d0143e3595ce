//! The state that every request works with.

use super::access::{AccessFile, Limiter, Sessions};
use super::evidence::Evidence;
use super::recorded::Recorded;
use super::tail::Tails;
use audit_runtime::trail::Trail;
use sqlx::postgres::PgPool;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Exports at once.
pub(crate) const EXPORTS: usize = 4;

/// The server's parts, shared by all requests.
pub(crate) struct Site {
    pub(crate) pool: PgPool,
    /// Without a master key: personal values are encrypted.
    pub(crate) trail: Trail,
    /// With the master key, for viewers who may see personal values.
    pub(crate) revealing: Option<Trail>,
    pub(crate) evidence: Evidence,
    pub(crate) recorded: Recorded,
    pub(crate) access: Option<AccessFile>,
    pub(crate) limiter: Limiter,
    pub(crate) sessions: Sessions,
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) tails: Tails,
    /// Becomes true at a shutdown, which ends tails and exports.
    pub(crate) ends: watch::Receiver<bool>,
}
