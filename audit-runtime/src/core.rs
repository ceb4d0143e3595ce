//! What callers and writer share: the journal, and what every event gets.

use crate::audit::StoreError;
use crate::capture::Rules;
use crate::context::{Scope, correlation};
use crate::event::{EntityId, Event, EventError, Outcome, is_event_type};
use crate::gap::Gap;
use crate::journal::{AppendError, Journal, NotSynced};
use crate::payload::{self, EventRef};
use crate::personal::{self, MasterKey};
use crate::stats::{Counters, Stats};
use crate::timestamp::Timestamp;
use crate::trace::Trace;
use crate::warning::RateLimited;
use crate::writer::{Checkpoints, Control, Progress};
use crate::{clock, ids};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What callers and writer share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) journal: Arc<Journal>,
    pub(crate) counters: Counters,
    pub(crate) control: Control,
    pub(crate) settings: Settings,
    refusals: RateLimited,
    redactions: RateLimited,
    gap: Gap,
}

/// A period of refusals is over when so long none was refused.
pub(crate) const GAP_IS_OVER: Duration = Duration::from_millis(500);

/// What the builder settles for good.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) origin: String,
    pub(crate) actor: Option<String>,
    pub(crate) rules: Rules,
    pub(crate) connections: usize,
    pub(crate) batch_rows: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) seal: bool,
    pub(crate) synchronous_commit: bool,
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) upkeep_after: Duration,
    pub(crate) durability: Durability,
    pub(crate) master_key: Option<MasterKey>,
}

/// When an event survives whatever becomes of this process and its machine's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Once the journal is on disk.
    Disk,
    /// The journal is in memory: once PostgreSQL has it.
    Database,
    /// Never: a test looks at it, and that is all.
    Probe,
}

impl Durability {
    pub(crate) fn has_database(self) -> bool {
        self != Self::Probe
    }
}

/// Why an event was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The event itself is at fault.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The journal has reached its limit.
    #[error("the journal is full; PostgreSQL has not taken its events for too long, or its limit is too small")]
    JournalFull,
    /// The journal cannot grow.
    #[error("the journal cannot make another segment; most likely its disk is full")]
    Disk,
    /// The event is larger than a segment of the journal.
    #[error("the event has {0} bytes, more than a journal segment holds; record a reference to the data instead")]
    TooLarge(usize),
    /// The journal could not be written to its disk.
    #[error("the journal could not be written to its disk: the event would not survive a power failure")]
    NotSynced,
    /// No handle is in force, and the function is not to run without one.
    #[error(
        "no audit trail is installed, and {0} does not run without one; call Audit::install, or run it in Audit::scope"
    )]
    NotInstalled(&'static str),
    /// The handle was shut down.
    #[error("the audit trail was shut down")]
    Closed,
    /// The process was forked after the handle was started.
    #[error(
        "this process is a fork of the one that started the audit trail, whose journal it must not touch; start one of its own after the fork"
    )]
    Forked,
}

impl Core {
    pub(crate) fn new(journal: Arc<Journal>, settings: Settings) -> Self {
        Self {
            journal,
            counters: Counters::default(),
            control: Control::default(),
            settings,
            refusals: RateLimited::default(),
            redactions: RateLimited::default(),
            gap: Gap::default(),
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.settings.rules
    }

    pub(crate) fn origin(&self) -> &str {
        &self.settings.origin
    }

    /// Whether what is personal can be recorded: it has to be encrypted on its way. A probe shows it as it was captured.
    pub(crate) fn keeps_personal(&self) -> bool {
        let keeps = self.settings.master_key.is_some() || self.settings.durability == Durability::Probe;
        if !keeps {
            self.redactions.warn(|suppressed| {
                tracing::warn!(
                    suppressed,
                    "personal values are recorded as [redacted], for they cannot be encrypted: name a key with Builder::master_key"
                );
            });
        }
        keeps
    }

    /// The actor of an event for which nobody named one.
    pub(crate) fn actor(&self) -> &str {
        self.settings.actor.as_deref().unwrap_or("system")
    }

    /// Appends an encoded event; returns the logical position behind it.
    pub(crate) fn append(&self, payload: &[u8]) -> Result<u64, RecordError> {
        // Counted first: a locked addition behind the copy would wait until that has left the processor.
        self.counters.appending();
        match self.journal.append(payload) {
            Ok(position) => {
                if self.gap.is_open() {
                    self.record_gap(GAP_IS_OVER);
                }
                Ok(position)
            }
            Err(error) => {
                self.counters.not_appended();
                Err(self.refused(error, payload))
            }
        }
    }

    /// Waits until what lies before this position survives the loss of power.
    pub(crate) async fn durable(&self, position: u64) -> Result<(), RecordError> {
        let durable = match self.settings.durability {
            Durability::Probe => Ok(()),
            Durability::Disk => self.synced(position).await,
            Durability::Database => self.stored(position).await,
        };
        durable.map_err(|error| match error {
            StoreError::NotSynced => RecordError::NotSynced,
            StoreError::Forked => RecordError::Forked,
            StoreError::Closed | StoreError::InMemory => RecordError::Closed,
        })
    }

    /// Waits until what lies before this position is on disk.
    pub(crate) async fn synced(&self, position: u64) -> Result<(), StoreError> {
        if self.journal.is_in_memory() {
            return Err(StoreError::InMemory);
        }
        self.journal.synced(position).await.map_err(|error| match error {
            NotSynced::Failed => StoreError::NotSynced,
            NotSynced::Released if self.journal.is_forked() => StoreError::Forked,
            NotSynced::Released => StoreError::Closed,
        })
    }

    /// Waits until PostgreSQL has what lies before this position.
    pub(crate) async fn stored(&self, position: u64) -> Result<(), StoreError> {
        if self.journal.is_forked() {
            return Err(StoreError::Forked);
        }
        let reached = |progress: &Progress| progress.stored_to >= position;
        let mut progress = self.control.subscribe();
        if !reached(&progress.borrow()) {
            // Who waits does not wait for the writer's linger too.
            self.control.wake();
        }
        match progress.wait_for(|progress| reached(progress) || progress.ended).await {
            Ok(progress) if reached(&progress) => Ok(()),
            _ => Err(StoreError::Closed),
        }
    }

    #[cold]
    fn refused(&self, error: AppendError, payload: &[u8]) -> RecordError {
        self.counters.refused();
        let event_type = payload::event_type(payload).unwrap_or("an event");
        if matches!(error, AppendError::Full | AppendError::Disk) {
            self.gap.note(event_type, clock::micros_now());
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

    /// Records an event made by hand; returns its id and the logical position behind it.
    pub(crate) fn record(&self, event: &Event) -> Result<(Uuid, u64), RecordError> {
        if !is_event_type(&event.event_type) {
            return Err(EventError::EventType(event.event_type.to_string()).into());
        }
        if let Some(time) = event.created_at
            && time.unix_micros().is_none()
        {
            return Err(EventError::Time(time).into());
        }
        let mut buffer = crate::call::buffer::take();
        let id = self.encode(&mut buffer, &Scope::current(), event);
        let appended = self.append(&buffer);
        crate::call::buffer::give(buffer);
        Ok((id, appended?))
    }

    /// The event's bytes, with what it takes from the scope; returns its id.
    fn encode(&self, buffer: &mut Vec<u8>, scope: &Scope, event: &Event) -> Uuid {
        let now = clock::micros_now();
        let id = ids::event_id(now);
        let context = scope.around.context.as_deref();
        let trace = Trace::current();
        let attributes = Trace::beside(trace, context.map_or("", |context| context.attributes_json()));
        let (entity_id, data) = match &event.entity_id {
            EntityId::Id(id) => (Some(*id), None),
            EntityId::None => (None, None),
            EntityId::NotAnId(text) => (None, Some(with_entity_text(&event.data, text))),
        };
        let data = match &event.personal {
            Some(personal) => Some(spliced(data.as_deref().unwrap_or(&event.data), personal)),
            None => data,
        };
        let data = self.rules().settle(data.as_deref().unwrap_or(&event.data));
        let keeps = !event.is_personal || self.keeps_personal();
        payload::encode(
            buffer,
            &EventRef {
                id,
                event_type: &event.event_type,
                entity_type: &event.entity_type,
                entity_id,
                actor: event
                    .actor
                    .as_deref()
                    .or_else(|| context.and_then(|context| context.actor_text()))
                    .unwrap_or_else(|| self.actor()),
                data: &if keeps { data } else { personal::redact(&data).into() },
                created_at: event.created_at.and_then(Timestamp::unix_micros).unwrap_or(now),
                outcome: Outcome::Ok,
                duration: None,
                correlation_id: Some(correlation(scope.call, context, trace).unwrap_or(id)),
                causation_id: scope.call.map(|call| call.id),
                context: &self.rules().settle(&attributes),
                origin: self.origin(),
                is_personal: event.is_personal && keeps,
            },
        );
        id
    }

    /// Puts the gap that refusals left on record, if there is one and none was refused for so long.
    #[cold]
    pub(crate) fn record_gap(&self, quiet: Duration) {
        let Some(lost) = self.gap.take(clock::micros_now(), quiet) else {
            return;
        };
        let event = Event::new("audit.gap").entity("journal", self.journal.id()).actor("audit");
        self.counters.appending();
        let recorded = event.data(&lost).is_ok_and(|event| {
            let mut buffer = Vec::new();
            // Whoever finds the gap to be over has nothing to do with it, does not wait for room, and it is no further loss
            // if there is none yet.
            self.encode(&mut buffer, &Scope::default(), &event);
            self.journal.append_if_room(&buffer)
        });
        if !recorded {
            self.counters.not_appended();
            self.gap.put_back(lost);
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.counters.stats(&self.journal, &self.control.progress())
    }
}

/// Keeps a text that should have been an id, as the attribute does: `data.$entity_id`.
fn with_entity_text(data: &str, text: &str) -> String {
    spliced(data, &format!(r#""$entity_id":{}"#, serde_json::Value::from(text)))
}

/// An object with these fields before its own.
fn spliced(data: &str, fields: &str) -> String {
    match data.strip_prefix('{').map(str::trim_start) {
        Some("}") | None => format!("{{{fields}}}"),
        Some(rest) => format!("{{{fields},{rest}"),
    }
}
