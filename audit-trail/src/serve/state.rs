//! The state that every request works with.

use super::access::{AccessFile, Limiter, Sessions, Viewer, Walls};
use super::arrivals::Arrivals;
use super::evidence::Evidence;
use super::keys::Keys;
use super::recorded::Recorded;
use super::tail::Tails;
use audit_runtime::trail::Trail;
use sqlx::postgres::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Exports at once.
pub(crate) const EXPORTS: usize = 4;

/// The server's parts, shared by all requests.
pub(crate) struct Site {
    pub(crate) pool: PgPool,
    /// The whole trail, without a master key: personal values are encrypted.
    pub(crate) trail: Trail,
    /// With the master key, for viewers who may see personal values.
    pub(crate) revealing: Option<Trail>,
    /// The same master key, to tell what it does not open.
    pub(crate) keys: Option<Keys>,
    /// The logins of tenants.
    pub(crate) walls: Walls,
    pub(crate) evidence: Evidence,
    pub(crate) arrivals: Arrivals,
    /// A search that no index serves looks so long before it shows what it has.
    pub(crate) look_for: Duration,
    pub(crate) recorded: Recorded,
    pub(crate) access: Option<AccessFile>,
    pub(crate) limiter: Limiter,
    pub(crate) sessions: Sessions,
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) tails: Tails,
    /// Becomes true at a shutdown, which ends tails and exports.
    pub(crate) ends: watch::Receiver<bool>,
}

impl Site {
    /// Returns the trail as a viewer's login sees it, or the whole trail.
    pub(crate) fn trail_of(&self, viewer: &Viewer) -> Trail {
        self.walls.before(&self.trail, viewer)
    }

    /// Returns the same trail with personal values, if the server has the master key.
    pub(crate) fn revealing_of(&self, viewer: &Viewer) -> Option<Trail> {
        self.revealing.as_ref().map(|trail| self.walls.before(trail, viewer))
    }
}
