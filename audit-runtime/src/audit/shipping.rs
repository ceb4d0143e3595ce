//! The way from the journal to PostgreSQL: its settings, and the start of the writer.

#[cfg(feature = "evidence")]
use super::checkpoints::{self, Checkpoints};
use super::last_resort::LastResort;
use super::upkeep;
use crate::postgres::ConnectOptions;
use crate::privacy::{KeyDesk, MasterKey};
use crate::recorder::counters::Counters;
use crate::recorder::{Encrypt, Encrypting, LOSSES_ARE_OVER, Recorder};
use crate::writer::{self, MakeCatalogue, WriterParts};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The way from the journal to PostgreSQL.
#[derive(Debug)]
pub(super) struct Shipping {
    pub(super) postgres: Option<Result<ConnectOptions, String>>,
    pub(super) connections: usize,
    pub(super) batch_rows: usize,
    pub(super) batch_bytes: usize,
    pub(super) seal: bool,
    pub(super) synchronous_commit: bool,
    pub(super) adopt_every: Duration,
    pub(super) upkeep_after: Duration,
    pub(super) master_key: Option<MasterKey>,
    pub(super) last_resort: Option<LastResort>,
    #[cfg(feature = "evidence")]
    pub(super) checkpoints: Option<Checkpoints>,
}

impl Default for Shipping {
    fn default() -> Self {
        Self {
            postgres: None,
            connections: 2,
            batch_rows: 5_000,
            batch_bytes: 4 << 20,
            seal: true,
            synchronous_commit: true,
            adopt_every: Duration::from_secs(30),
            upkeep_after: Duration::from_secs(60),
            master_key: None,
            last_resort: None,
            #[cfg(feature = "evidence")]
            checkpoints: None,
        }
    }
}

impl Shipping {
    /// Starts the writer.
    pub(super) fn start(
        self,
        options: ConnectOptions,
        recorder: &Arc<Recorder>,
        catalogue: MakeCatalogue,
    ) -> io::Result<()> {
        let keys = self.master_key.clone().map(|master| {
            let (desk, clerk) = KeyDesk::new();
            let _ = recorder.encrypt.set(Box::new(Encryption { desk, counters: recorder.counters.clone() }));
            (clerk, master)
        });
        if let Some(last_resort) = self.last_resort {
            let last_resort = last_resort.of(&recorder.journal, self.master_key.clone());
            let _ = recorder.last_resort.set(Box::new(last_resort));
        }
        let settings = writer::Settings {
            origin: recorder.origin().to_owned(),
            connections: self.connections,
            batch_rows: self.batch_rows,
            batch_bytes: self.batch_bytes,
            seal: self.seal,
            synchronous_commit: self.synchronous_commit,
            adopt_every: self.adopt_every,
            master_key: self.master_key,
        };
        let parts = WriterParts {
            journal: recorder.journal.clone(),
            counters: recorder.counters.clone(),
            control: recorder.control.clone(),
            settings,
            record_lost_events: Box::new({
                let recorder = recorder.clone();
                move || recorder.record_lost_events(LOSSES_ARE_OVER)
            }),
            catalogue,
        };
        let beside = options.clone();
        writer::start(parts, options, move || async move {
            let partitions = upkeep::run(&beside, self.upkeep_after);
            let keys = async {
                if let Some((clerk, master)) = keys {
                    clerk.run(&beside, &master).await;
                }
            };
            #[cfg(feature = "evidence")]
            tokio::join!(partitions, keys, checkpoints::run(&beside, self.checkpoints));
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
