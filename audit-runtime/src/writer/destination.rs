//! The place where batches go.

#[cfg(feature = "nats")]
use super::nats::{self, Nats};
use super::postgres_sink::PostgresSink;
use super::relay_address::RelayAddress;
use super::relay_asker;
use super::sink::Sink;
use crate::postgres::ConnectOptions;
use uuid::Uuid;

/// The place where batches go.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    Postgres(ConnectOptions),
    /// A relay, and what this process calls itself to it.
    Relay {
        address: RelayAddress,
        origin: String,
    },
    /// NATS JetStream with relays behind it.
    #[cfg(feature = "nats")]
    Nats {
        nats: Nats,
        origin: String,
    },
}

impl Destination {
    /// Connects, on behalf of the writer of a journal, if it is one.
    ///
    /// # Errors
    /// It cannot be reached, or cannot take batches as it is.
    pub(super) async fn connect(&self, journal: Option<Uuid>) -> Result<Box<dyn Sink>, sqlx::Error> {
        match self {
            Self::Postgres(options) => Ok(Box::new(PostgresSink::connect(options, journal).await?)),
            Self::Relay { address, origin } => Ok(Box::new(relay_asker::connect(address, origin).await?)),
            #[cfg(feature = "nats")]
            Self::Nats { nats, origin } => Ok(Box::new(nats::connect(nats, origin).await?)),
        }
    }

    /// Returns whether a batch that has left may arrive after its process has died.
    ///
    /// Its adopter must find the batch as it was cut then, after a power failure too. So the journal
    /// and its cut log are on the disk before the batch leaves.
    pub(super) fn may_hold_back(&self) -> bool {
        !matches!(self, Self::Postgres(_))
    }

    /// Returns how many batches an adopter has under way at once.
    ///
    /// An answer by way of NATS takes longer than a commit, and the relay stores together what waits.
    pub(super) fn batches_at_once(&self) -> usize {
        match self {
            Self::Postgres(_) | Self::Relay { .. } => 1,
            #[cfg(feature = "nats")]
            Self::Nats { .. } => 8,
        }
    }

    /// Returns the reason why this process may not send a batch of this origin, if there is one.
    ///
    /// NATS lets a service speak for itself alone, and no relay answers to another's inbox.
    pub(super) fn refuses(&self, origin: &str) -> Option<String> {
        match self {
            #[cfg(feature = "nats")]
            Self::Nats { origin: own, .. } if !nats::may_speak_for(own, origin) => Some(format!(
                "it is of {origin}, and NATS lets a service send its own events alone; start that service, or run audit-trail journal ship where PostgreSQL can be reached"
            )),
            _ => {
                let _ = origin;
                None
            }
        }
    }

    /// Returns whether the interruptions of a journal are recorded there, and not by its adopter.
    pub(super) fn makes_interruptions(&self) -> bool {
        !matches!(self, Self::Postgres(_))
    }
}
