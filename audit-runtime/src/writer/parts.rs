//! The parts that the writer works with.

use crate::journal::Journal;
use crate::journal::kept::Keeper;
use crate::privacy::MasterKey;
use crate::recorder::control::Control;
use crate::recorder::counters::Counters;
#[cfg(feature = "metrics")]
use crate::recorder::stats::Stats;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The journal to be shipped, and the means by which the writer reports.
pub(crate) struct WriterParts {
    pub(crate) journal: Arc<Journal>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) control: Arc<Control>,
    pub(crate) settings: Settings,
    /// Records which events were lost, once no more are. The first lane calls it whenever it looks
    /// at the journal.
    pub(crate) record_lost_events: Box<dyn Fn() + Send + Sync>,
    /// Keeps copies of the batches that are stored, if that was asked for.
    pub(crate) keeper: Option<Arc<Keeper>>,
    /// Describes the annotated functions. The first lane calls it once it has a connection.
    pub(crate) catalogue: MakeCatalogue,
}

/// Describes the annotated functions of this program, if there are any.
pub(crate) type MakeCatalogue = Box<dyn Fn() -> Option<ServiceCatalogue> + Send + Sync>;

/// The annotated functions of a service, to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceCatalogue {
    pub(crate) service: String,
    pub(crate) version: String,
    /// JSON, an array.
    pub(crate) functions: String,
}

/// The settings of a writer.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) origin: String,
    pub(crate) connections: usize,
    pub(crate) batch_rows: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) seal: bool,
    pub(crate) synchronous_commit: bool,
    /// How often journals of dead processes are looked for.
    pub(crate) adopt_every: Duration,
    pub(crate) master_key: Option<MasterKey>,
}

impl Settings {
    /// The defaults, for batches of this origin.
    pub(crate) fn of_origin(origin: String) -> Self {
        Self {
            origin,
            connections: 2,
            batch_rows: 5_000,
            batch_bytes: 4 << 20,
            seal: true,
            synchronous_commit: true,
            adopt_every: Duration::from_secs(30),
            master_key: None,
        }
    }
}

impl WriterParts {
    pub(super) fn origin(&self) -> &str {
        &self.settings.origin
    }

    #[cfg(feature = "metrics")]
    pub(super) fn stats(&self) -> Stats {
        Stats::of(&self.counters, &self.journal, &self.control.progress())
    }
}

impl fmt::Debug for WriterParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterParts").field("journal", &self.journal.id()).finish_non_exhaustive()
    }
}
