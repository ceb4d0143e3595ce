//! The parts of a relay that its sessions share.

use super::connections::Connections;
use crate::postgres::failure::describe;
use crate::sys::RateLimited;
use crate::writer::Settings;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// The parts that all sessions share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connections: Connections,
    pub(super) settings: Settings,
    pub(super) counters: Counters,
    /// Mebibytes of messages that are being read or stored.
    pub(super) memory: Arc<Semaphore>,
}

/// The counts of a relay.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) services: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) quarantined: AtomicU64,
    pub(super) altered: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// Waits until the relay stops.
pub(super) async fn stopping(stopped: &mut watch::Receiver<bool>) {
    // Without a sender, the relay is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl Shared {
    /// Counts a request that failed, and reports it from time to time.
    pub(super) fn failed(&self, error: &sqlx::Error) {
        static WARNED: RateLimited = RateLimited::every(Duration::from_secs(30));
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        let text = describe(error);
        WARNED.warn(|suppressed| {
            tracing::warn!(suppressed, "the relay cannot do what a service asks for, which asks again: {text}");
        });
    }
}
