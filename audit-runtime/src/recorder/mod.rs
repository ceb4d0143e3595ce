//! Records events into the journal. It adds the values that every event of a trail has, counts it,
//! and refuses it if room is lacking.

pub(crate) mod buffer;
pub(crate) mod control;
pub(crate) mod counters;
mod encrypt;
mod handle;
pub(crate) mod health;
mod inherited;
pub(crate) mod installed;
mod last_resort;
mod lost_events;
mod manual_event;
#[cfg_attr(
    not(feature = "policy"),
    allow(dead_code, unreachable_pub, reason = "there are no rules without the feature")
)]
pub(crate) mod policy;
#[cfg(feature = "policy")]
pub(crate) mod policy_watch;
pub(crate) mod printer;
mod recent;
pub(crate) mod rule_name;
mod settings;
mod shutdown;
pub(crate) mod stats;
mod thinning;
pub(crate) mod thread_cache;
mod wait;

pub(crate) use encrypt::Encrypt;
#[cfg(feature = "postgres")]
pub(crate) use encrypt::Encrypting;
pub(crate) use handle::Handle;
pub use health::{Health, Reason};
pub(crate) use inherited::Inherited;
#[cfg(feature = "postgres")]
pub(crate) use last_resort::{LastResort, Taken};
pub(crate) use manual_event::Recorded;
pub(crate) use rule_name::RuleName;
pub(crate) use settings::{Durability, Settings};
pub use stats::Stats;

use crate::capture::Rules;
use crate::error::RecordError;
use crate::event::clock;
use crate::journal::{AppendError, Journal};
use crate::record::payload;
use crate::sys::RateLimited;
use control::Control;
use counters::Counters;
use lost_events::LostEvents;
use policy::Policy;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

// The journal's files name the version of what their records hold.
const _: () = assert!(payload::VERSION as u16 == crate::journal::format::PAYLOAD_VERSION);

/// Records the events of one trail. Callers share it. The writer has the journal, the counters and
/// the control.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) journal: Arc<Journal>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) control: Arc<Control>,
    pub(crate) settings: Settings,
    /// Which events are recorded; without one, all are.
    policy: Option<Policy>,
    refusals: RateLimited,
    redactions: RateLimited,
    lost: LostEvents,
    /// A probe's events that a caller's transaction would hold.
    probed_in_transactions: Mutex<Vec<Uuid>>,
    /// Encrypts rows that do not go through the journal.
    pub(crate) encrypt: std::sync::OnceLock<Box<dyn Encrypt>>,
    /// Takes what a shutdown could not ship.
    pub(crate) last_resort: std::sync::OnceLock<Box<dyn last_resort::LastResort>>,
    taken: tokio::sync::OnceCell<last_resort::Taken>,
}

/// A period of refusals is over after this time without one.
pub(crate) const LOSSES_ARE_OVER: Duration = Duration::from_millis(500);

impl Recorder {
    pub(crate) fn new(journal: Arc<Journal>, settings: Settings) -> Self {
        Self {
            journal,
            counters: Arc::default(),
            control: Arc::default(),
            settings,
            policy: None,
            refusals: RateLimited::default(),
            redactions: RateLimited::default(),
            lost: LostEvents::default(),
            probed_in_transactions: Mutex::default(),
            encrypt: std::sync::OnceLock::new(),
            last_resort: std::sync::OnceLock::new(),
            taken: tokio::sync::OnceCell::new(),
        }
    }

    /// Returns a recorder that leaves out what these rules say.
    #[cfg(feature = "policy")]
    pub(crate) fn with_policy(mut self, rules: policy::Rules) -> Self {
        self.policy = Some(Policy::new(rules, &self.counters));
        self
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.settings.rules
    }

    pub(crate) fn origin(&self) -> &str {
        &self.settings.origin
    }

    /// Returns whether personal values are recorded, and warns where they are not.
    pub(crate) fn keeps_personal(&self) -> bool {
        let keeps = self.settings.keeps_personal;
        if !keeps {
            self.counters.redacting();
            self.redactions.warn(|suppressed| {
                tracing::warn!(
                    suppressed,
                    "personal values are recorded as [redacted], for they cannot be encrypted: name a key with Builder::master_key"
                );
            });
        }
        keeps
    }

    /// Returns the actor of an event that names none.
    pub(crate) fn actor(&self) -> &str {
        self.settings.actor.as_deref().unwrap_or("system")
    }

    /// Appends an encoded event, and returns the logical position behind it.
    pub(crate) fn append(&self, payload: &[u8]) -> Result<u64, RecordError> {
        // Counted first: a locked addition behind the copy would wait until that has left the
        // processor.
        self.counters.appending();
        match self.journal.append(payload) {
            Ok(position) => {
                if self.lost.is_open() {
                    self.record_lost_events(LOSSES_ARE_OVER);
                }
                Ok(position)
            }
            Err(error) => {
                self.counters.not_appended();
                Err(self.refused(error, payload))
            }
        }
    }

    #[cold]
    fn refused(&self, error: AppendError, payload: &[u8]) -> RecordError {
        self.counters.refused();
        let event_type = payload::event_type(payload).unwrap_or("an event");
        if matches!(error, AppendError::Full | AppendError::Disk) {
            self.lost.note(event_type, clock::micros_now());
        }
        let error = match error {
            AppendError::Full => RecordError::JournalFull,
            AppendError::Disk => RecordError::Disk,
            AppendError::TooLarge => RecordError::TooLarge(payload.len()),
            AppendError::Closed => RecordError::Closed,
            AppendError::Forked => RecordError::Forked,
        };
        self.refusals.warn(|suppressed| {
            tracing::warn!(event_type, suppressed, "an audit event was refused: {error}");
        });
        error
    }

    /// Notes that a caller's transaction would hold this event of a probe.
    pub(crate) fn probed_in_transaction(&self, id: Uuid) {
        self.probed_in_transactions.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Returns whether a caller's transaction would hold this event of a probe.
    pub(crate) fn is_probed_in_transaction(&self, id: Uuid) -> bool {
        self.probed_in_transactions.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats::of(&self.counters, &self.journal, &self.control.progress())
    }

    pub(crate) fn health(&self) -> Health {
        Health::of(&self.counters, &self.journal, &self.control)
    }
}
