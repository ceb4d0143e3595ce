//! For tests of code that is audited: what was captured, without a database.

use crate::audit::Audit;
use crate::capture::{DATA_LIMIT, Rules};
use crate::context::{Entered, Scoped};
use crate::core::{Core, Durability, Settings};
use crate::journal::{Journal, Limits, Next, Overflow};
use crate::mask::Mask;
use crate::payload::EventRef;
use crate::trail::{TrailEvent, mark_intents};
use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Catches what is recorded on this thread or in this future. Tests that run in parallel do not see each other.
///
/// ```
/// use audit_runtime::{audited, testing::Probe};
/// use uuid::Uuid;
///
/// #[audited(event = "order.cancelled")]
/// fn cancel(order_id: Uuid, reason: &str) {}
///
/// let probe = Probe::new();
/// let entered = probe.enter();
/// cancel(Uuid::nil(), "changed my mind");
/// drop(entered);
/// assert_eq!(probe.only("order.cancelled").data["reason"], "changed my mind");
/// ```
#[derive(Debug, Clone)]
pub struct Probe {
    audit: Audit,
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

impl Probe {
    /// A probe that has caught nothing yet.
    ///
    /// # Panics
    /// There is no memory for it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_data_limit(DATA_LIMIT)
    }

    /// A probe with another limit for an event's data than 64 KiB.
    ///
    /// # Panics
    /// There is no memory for it.
    #[must_use]
    pub fn with_data_limit(data_limit: usize) -> Self {
        let limits = Limits {
            segment_bytes: (4 * data_limit.max(DATA_LIMIT) as u64).next_power_of_two(),
            limit_bytes: 1 << 30,
            overflow: Overflow::Refuse,
        };
        let journal = match Journal::create(None, limits) {
            Ok(journal) => Arc::new(journal),
            Err(error) => panic!("a probe needs memory: {error}"),
        };
        let rules = Rules { limit: data_limit, mask: Mask::default() };
        let settings = Settings {
            origin: "probe".into(),
            actor: None,
            rules,
            connections: 1,
            batch_rows: 1,
            batch_bytes: 1,
            seal: false,
            synchronous_commit: true,
            checkpoints: None,
            upkeep_after: Duration::MAX,
            durability: Durability::Probe,
            master_key: None,
        };
        Self { audit: Audit::unwritten(Arc::new(Core::new(journal, settings))) }
    }

    /// The handle behind the probe, for recording by hand.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Catches what is recorded on this thread until the guard is dropped.
    pub fn enter(&self) -> Entered {
        self.audit.enter()
    }

    /// Catches what is recorded in this future.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        self.audit.scope(future)
    }

    /// All that was caught so far, in the order in which it was recorded: a call is recorded when it ends. (Threads that recorded at the same
    /// time did so in blocks, one behind the other.)
    ///
    /// # Panics
    /// A captured event is not what this library writes.
    #[must_use]
    pub fn events(&self) -> Vec<TrailEvent> {
        let mut events = Vec::new();
        let (mut position, mut json) = (0, Vec::new());
        while let Next::Record { record, end } = self.audit.core().journal.peek(position) {
            match EventRef::decode(record.payload(), &mut json) {
                Ok(event) => events.push(TrailEvent::from(&event)),
                Err(error) => panic!("a probe caught what is no event: {error}"),
            }
            position = end;
        }
        mark_intents(&mut events);
        events
    }

    /// The one event of this type.
    ///
    /// # Panics
    /// There is none, or more than one; the message lists what there is.
    #[must_use]
    #[track_caller]
    pub fn only(&self, event_type: &str) -> TrailEvent {
        let events = self.events();
        let mut found = events.iter().filter(|event| event.event_type == event_type);
        match (found.next(), found.next()) {
            (Some(event), None) => event.clone(),
            (first, _) => {
                let problem = if first.is_none() { "no" } else { "more than one" };
                panic!("{problem} event {event_type:?} was recorded; there are:\n{}", listed(&events))
            }
        }
    }
}

fn listed(events: &[TrailEvent]) -> String {
    if events.is_empty() {
        return "  none at all: was the code run inside Probe::enter or Probe::scope?".into();
    }
    events.iter().fold(String::new(), |mut list, event| {
        let _ = writeln!(list, "  {} {} {}", event.event_type, event.outcome, event.data);
        list
    })
}
