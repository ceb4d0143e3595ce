//! The way from the journal to PostgreSQL: its settings, and the start of the writer.

#[cfg(feature = "evidence")]
use super::checkpoints::{self, Checkpoints};
use super::last_resort::LastResort;
use crate::journal::kept::Keeper;
use crate::postgres::ConnectOptions;
use crate::privacy::KeyDesk;
use crate::recorder::counters::Counters;
use crate::recorder::{Encrypt, Encrypting, LOSSES_ARE_OVER, Recorder};
#[cfg(feature = "nats")]
use crate::writer::nats::Nats;
use crate::writer::relay_address::RelayAddress;
use crate::writer::{self, Destination, MakeCatalogue, WriterParts, key_clerk, upkeep};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The way from the journal to PostgreSQL.
#[derive(Debug)]
pub(super) struct Shipping {
    pub(super) postgres: Option<Result<ConnectOptions, String>>,
    pub(super) relay: Option<Result<RelayAddress, String>>,
    #[cfg(feature = "nats")]
    pub(super) nats: Option<Nats>,
    /// The writer's own, whose origin is known at the start.
    pub(super) writer: writer::Settings,
    pub(super) upkeep_after: Duration,
    /// How long copies of batches are kept, and the most bytes that they take.
    pub(super) keep_for: Option<Duration>,
    pub(super) keep_limit: u64,
    pub(super) last_resort: Option<LastResort>,
    #[cfg(feature = "evidence")]
    pub(super) checkpoints: Option<Checkpoints>,
}

impl Default for Shipping {
    fn default() -> Self {
        Self {
            postgres: None,
            relay: None,
            #[cfg(feature = "nats")]
            nats: None,
            writer: writer::Settings::of_origin(String::new()),
            upkeep_after: Duration::from_secs(60),
            keep_for: None,
            keep_limit: 1 << 30,
            last_resort: None,
            #[cfg(feature = "evidence")]
            checkpoints: None,
        }
    }
}

impl Shipping {
    /// Returns the most bytes of one event.
    #[cfg(feature = "nats")]
    pub(super) fn record_bytes(&self) -> usize {
        self.nats.as_ref().map_or(usize::MAX, Nats::event_bytes)
    }

    #[cfg(not(feature = "nats"))]
    #[allow(clippy::unused_self, reason = "NATS has a limit")]
    pub(super) fn record_bytes(&self) -> usize {
        usize::MAX
    }

    /// Returns the most bytes of a batch.
    fn most_batch_bytes(&self) -> usize {
        #[cfg(feature = "nats")]
        if let Some(nats) = &self.nats {
            return self.writer.batch_bytes.min(nats.batch_bytes());
        }
        self.writer.batch_bytes
    }

    /// Returns the place where batches go, once the settings are known to name one.
    pub(super) fn destination(&self, origin: &str) -> Option<Destination> {
        #[cfg(feature = "nats")]
        if let Some(nats) = &self.nats {
            return Some(Destination::Nats { nats: nats.clone(), origin: origin.to_owned() });
        }
        match (&self.postgres, &self.relay) {
            (Some(Ok(options)), _) => Some(Destination::Postgres(options.clone())),
            (_, Some(Ok(address))) => Some(Destination::Relay { address: address.clone(), origin: origin.to_owned() }),
            _ => None,
        }
    }

    /// Starts the writer.
    pub(super) fn start(
        self,
        destination: Destination,
        recorder: &Arc<Recorder>,
        catalogue: MakeCatalogue,
    ) -> io::Result<()> {
        let keys = self.writer.master_key.clone().map(|master| {
            let (desk, requests) = KeyDesk::new();
            let _ = recorder.encrypt.set(Box::new(Encryption { desk, counters: recorder.counters.clone() }));
            (requests, master)
        });
        let batch_bytes = self.most_batch_bytes();
        if let Some(last_resort) = self.last_resort {
            let last_resort = last_resort.of(&recorder.journal, self.writer.master_key.clone());
            let _ = recorder.last_resort.set(Box::new(last_resort));
        }
        let settings = writer::Settings { origin: recorder.origin().to_owned(), batch_bytes, ..self.writer };
        let parts = WriterParts {
            journal: recorder.journal.clone(),
            counters: recorder.counters.clone(),
            control: recorder.control.clone(),
            settings,
            record_lost_events: Box::new({
                let recorder = recorder.clone();
                move || recorder.record_lost_events(LOSSES_ARE_OVER)
            }),
            keeper: self
                .keep_for
                .zip(recorder.journal.parent())
                .map(|(time, parent)| Arc::new(Keeper::new(parent.clone(), time, self.keep_limit))),
            catalogue,
        };
        let (beside, journal) = (destination.clone(), recorder.journal.id());
        writer::start(parts, destination, move || async move {
            let keys = async {
                if let Some((requests, master)) = keys {
                    key_clerk::run(requests, &beside, journal, &master).await;
                }
                std::future::pending::<()>().await;
            };
            // A relay does its own upkeep.
            let Destination::Postgres(options) = &beside else { return keys.await };
            let partitions = upkeep::run(options, self.upkeep_after);
            #[cfg(feature = "evidence")]
            tokio::join!(partitions, keys, checkpoints::run(options, self.checkpoints));
            #[cfg(not(feature = "evidence"))]
            tokio::join!(partitions, keys);
        })
    }
}

/// Encrypts rows that callers store in transactions of their own.
#[derive(Debug)]
struct Encryption {
    desk: KeyDesk,
    counters: Arc<Counters>,
}

impl Encrypt for Encryption {
    fn encrypt<'a>(&'a self, events: &'a mut [Vec<u8>]) -> Encrypting<'a> {
        Box::pin(async {
            let rekeyed = self.desk.encrypt(events).await.map_err(|error| error.to_string())?;
            self.counters.rekeyed.fetch_add(rekeyed, Ordering::Relaxed);
            Ok(())
        })
    }
}
