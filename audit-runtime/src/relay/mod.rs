//! Relays: programs that take sealed batches from services and store them in PostgreSQL.
//!
//! Services behind a relay need no credentials of the database, and two hundred of them share a few
//! connections. A service names its relay in place of the database:
//!
//! ```no_run
//! use audit_runtime::Audit;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let audit = Audit::builder()
//!     .relay("unix:/run/audit/relay.sock")
//!     .journal("/var/lib/broker/audit")
//!     .service("broker")
//!     .start()?;
//! # Ok(())
//! # }
//! ```
//!
//! `audit-trail relay` is such a program. [`Relay`] makes one a part of a program of your own.
//!
//! # Guarantees
//!
//! A relay is trusted with progress alone. A journal lets go of a batch when the relay answers with
//! the batch's key and root, which it does once PostgreSQL has committed the batch. Batches that
//! a relay loses are sent again, and those that arrive twice meet the unique key. A relay makes the rows of a
//! batch from the journal's bytes, seals them again, and refuses a batch whose root is another.
//!
//! Personal values are encrypted before they leave their service. A relay hands out the wrapped keys
//! of subjects, and never has the master key.
//!
//! Every process that may connect to a relay can store events, as every role with the grants of a
//! writer can.

mod answers;
#[cfg(feature = "nats")]
mod broker;
mod connections;
mod interruptions;
mod listener;
mod session;
mod shared;

pub use crate::writer::relay_address::{RelayAddress, RelayAddressError};
#[cfg(feature = "nats")]
#[cfg_attr(docsrs, doc(cfg(feature = "nats")))]
pub use broker::StreamSettings;
pub use listener::RelayListener;

use crate::event::origin;
use crate::postgres::IntoConnectOptions;
use crate::writer::{Settings, upkeep};
use connections::Connections;
use shared::{Counters, Shared};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The most services that are connected at once.
const SERVICES: usize = 4_096;
/// The longest wait for requests in hand at the end.
const FAREWELL: Duration = Duration::from_secs(30);
/// The wait after a connection that could not be accepted, for example for lack of descriptors.
const REFUSED: Duration = Duration::from_millis(100);

/// The reason a relay cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A setting is wrong.
    #[error("the relay cannot start: {0}")]
    Setting(String),
}

/// A relay: it takes batches from services, and stores them in PostgreSQL.
#[derive(Debug, Clone)]
pub struct Relay {
    shared: Arc<Shared>,
}

/// A relay's work since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStats {
    /// Connections of services at this moment.
    pub services: u64,
    /// Batches that PostgreSQL has committed, those among them that it had already.
    pub batches: u64,
    /// Events in these batches.
    pub events: u64,
    /// Events among them that PostgreSQL refused. They are in `audit_quarantine`.
    pub quarantined: u64,
    /// Messages that were no batch, or a batch whose root was another. Services send them again.
    pub altered: u64,
    /// Requests that failed, for example while PostgreSQL was away. Services ask again.
    pub failures: u64,
}

impl Relay {
    /// Makes a relay to this database, with so many connections to it.
    ///
    /// It connects when there is something to store. The role needs the grants of
    /// `audit-trail migrate --writer ROLE`.
    ///
    /// # Errors
    /// The options cannot be parsed, or `connections` is 0.
    pub fn new(postgres: impl IntoConnectOptions, connections: usize) -> Result<Self, RelayError> {
        let options = postgres.into_connect_options().map_err(RelayError::Setting)?;
        if connections == 0 {
            return Err(RelayError::Setting("it needs at least one connection to PostgreSQL".into()));
        }
        let settings = Settings { connections, ..Settings::of_origin(origin(Some("audit-relay"))) };
        let connections = Connections::new(options, connections);
        let memory = Arc::new(Semaphore::new(session::MEMORY));
        Ok(Self { shared: Arc::new(Shared { connections, settings, counters: Counters::default(), memory }) })
    }

    /// Returns what it has done since its start.
    #[must_use]
    pub fn stats(&self) -> RelayStats {
        let counters = &self.shared.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RelayStats {
            services: count(&counters.services),
            batches: count(&counters.batches),
            events: count(&counters.events),
            quarantined: count(&counters.quarantined),
            altered: count(&counters.altered),
            failures: count(&counters.failures),
        }
    }

    /// Serves services until `stop` completes. It then finishes the requests in hand.
    ///
    /// It runs in the tokio runtime of its caller, and makes partitions ahead of the months that need
    /// them.
    pub async fn serve(&self, listener: RelayListener, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let (mut sessions, places) = (JoinSet::new(), Arc::new(Semaphore::new(SERVICES)));
        let upkeep = upkeep::run(self.shared.connections.options(), Duration::from_secs(5));
        tokio::pin!(stop, upkeep);
        loop {
            let place = async { places.clone().acquire_owned().await };
            let accepting = async {
                let place = place.await;
                (listener.accept().await, place)
            };
            tokio::select! {
                () = &mut stop => break,
                () = &mut upkeep => {}
                Some(_) = sessions.join_next() => {}
                (accepted, place) = accepting => match accepted {
                    Ok(stream) => {
                        let (shared, stopped) = (self.shared.clone(), stopped.clone());
                        sessions.spawn(async move {
                            session::run(stream, &shared, stopped).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the relay cannot accept a connection; it tries again");
                        tokio::time::sleep(REFUSED).await;
                    }
                },
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let ending = async { while sessions.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, ending).await.is_err() {
            tracing::warn!(
                services = self.stats().services,
                "requests were still in hand when the relay ended; services send them again"
            );
        }
        self.shared.connections.close().await;
    }
}

impl From<RelayError> for io::Error {
    fn from(error: RelayError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
