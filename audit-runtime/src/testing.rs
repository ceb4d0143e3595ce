//! Tests of audited code: the captured events, without a database.

use crate::audit::Audit;
use crate::capture::mask::Mask;
use crate::capture::{DATA_LIMIT, Rules};
use crate::context::{Entered, Scoped};
use crate::journal::{Journal, Limits, Next};
use crate::record::{EventRef, TrailEvent, mark_intents};
use crate::recorder::{Durability, Recorder, Settings};
use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;

/// Catches the events recorded on this thread or in this future.
///
/// Tests that run in parallel do not see each other's events.
///
/// # Transactions
///
/// Events of `tx` and of [`Audit::record_in`](crate::Audit::record_in) are caught when the call
/// ends, and nothing is inserted. A probe cannot tell whether the transaction was committed or
/// rolled back, because nothing of it goes through the library.
/// [`is_in_transaction`](Self::is_in_transaction) returns which events depend on that. A test of the
/// commit itself needs a database.
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
    /// Creates a probe that has caught nothing yet.
    ///
    /// # Panics
    /// The memory for it cannot be allocated.
    #[must_use]
    pub fn new() -> Self {
        Self::with_data_limit(DATA_LIMIT)
    }

    /// Creates a probe that leaves out what a policy's text says.
    ///
    /// ```
    /// use audit_runtime::{Event, testing::Probe};
    ///
    /// let probe = Probe::with_policy("[[rule]]\nevent = 'account.viewed'\nlevel = 'none'");
    /// let receipt = probe.audit().record(Event::new("account.viewed")).unwrap();
    /// assert!(!receipt.is_recorded() && probe.events().is_empty());
    /// ```
    ///
    /// # Panics
    /// The text is not a policy, or the memory cannot be allocated.
    #[cfg(feature = "policy")]
    #[cfg_attr(docsrs, doc(cfg(feature = "policy")))]
    #[must_use]
    #[track_caller]
    pub fn with_policy(text: &str) -> Self {
        let rules = match text.parse() {
            Ok(rules) => rules,
            Err(error) => panic!("the policy of a probe is invalid: {error}"),
        };
        Self::of(Self::recorder(DATA_LIMIT).with_policy(rules))
    }

    /// Creates a probe whose limit for an event's data differs from 64 KiB.
    ///
    /// # Panics
    /// The memory for it cannot be allocated.
    #[must_use]
    pub fn with_data_limit(data_limit: usize) -> Self {
        Self::of(Self::recorder(data_limit))
    }

    fn of(recorder: Recorder) -> Self {
        Self { audit: Audit::unwritten(Arc::new(recorder)) }
    }

    fn recorder(data_limit: usize) -> Recorder {
        let limits = Limits::new((4 * data_limit.max(DATA_LIMIT) as u64).next_power_of_two(), 1 << 30);
        let journal = match Journal::create(None, limits) {
            Ok(journal) => Arc::new(journal),
            Err(error) => panic!("a probe needs memory: {error}"),
        };
        let rules = Rules { limit: data_limit, mask: Mask::default() };
        let settings = Settings {
            origin: "probe".into(),
            actor: None,
            rules,
            durability: Durability::Probe,
            keeps_personal: true,
        };
        Recorder::new(journal, settings)
    }

    /// Returns the handle behind the probe, for recording by hand.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Catches the events recorded on this thread until the guard is dropped.
    pub fn enter(&self) -> Entered {
        self.audit.enter()
    }

    /// Catches the events recorded in this future.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        self.audit.scope(future)
    }

    /// Returns all events caught so far, in the order in which they were recorded.
    ///
    /// A call is recorded when it ends. If threads recorded at the same time, their events are in
    /// blocks, one behind the other.
    ///
    /// # Panics
    /// A captured event is malformed.
    #[must_use]
    pub fn events(&self) -> Vec<TrailEvent> {
        let mut events = Vec::new();
        let (mut position, mut json) = (0, Vec::new());
        while let Next::Record { record, end } = self.audit.recorder().journal.peek(position) {
            match EventRef::decode(record.payload(), &mut json) {
                Ok(event) => events.push(TrailEvent::from(&event)),
                Err(error) => panic!("a probe caught what is no event: {error}"),
            }
            position = end;
        }
        mark_intents(&mut events);
        events
    }

    /// Returns whether this event is part of the caller's transaction, by `tx` or
    /// [`Audit::record_in`](crate::Audit::record_in).
    ///
    /// With a database, such a row exists if and only if that transaction commits.
    ///
    /// ```
    /// # #[cfg(feature = "postgres")]
    /// # async fn test(mut tx: audit_runtime::sqlx::Transaction<'_, audit_runtime::sqlx::Postgres>) {
    /// use audit_runtime::{Event, testing::Probe};
    ///
    /// let probe = Probe::new();
    /// probe.audit().record_in(&mut tx, [Event::new("account.closed")]).await.unwrap();
    /// assert!(probe.is_in_transaction(&probe.only("account.closed")));
    /// # }
    /// ```
    #[must_use]
    pub fn is_in_transaction(&self, event: &TrailEvent) -> bool {
        self.audit.recorder().is_probed_in_transaction(event.id)
    }

    /// Returns the one event of this type.
    ///
    /// # Panics
    /// No event or more than one has this type. The message lists the events that were caught.
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

/// Runs code and returns the event that it recorded.
///
/// ```
/// use audit_runtime::{audited, testing};
///
/// #[audited(event = "order.cancelled", id = none)]
/// fn cancel(reason: &str) {}
///
/// let event = testing::record(|| cancel("changed my mind"));
/// assert_eq!(event.data["reason"], "changed my mind");
/// ```
///
/// # Panics
/// The code recorded nothing, or more than one event. [`Probe`] returns any number of them.
#[track_caller]
pub fn record<R>(code: impl FnOnce() -> R) -> TrailEvent {
    let probe = Probe::new();
    let entered = probe.enter();
    code();
    drop(entered);
    only(probe.events())
}

/// Awaits a future and returns the event that it recorded.
///
/// ```
/// use audit_runtime::{audited, testing};
///
/// #[audited(event = "order.cancelled", id = none)]
/// async fn cancel(reason: &str) {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let event = testing::record_async(cancel("changed my mind")).await;
/// assert_eq!(event.data["reason"], "changed my mind");
/// # }
/// ```
///
/// # Panics
/// The future recorded nothing, or more than one event. [`Probe`] returns any number of them.
pub async fn record_async<F: Future>(future: F) -> TrailEvent {
    let probe = Probe::new();
    probe.scope(future).await;
    only(probe.events())
}

/// Prints the catalogue of this program for a snapshot test, such as one of `insta`.
///
/// A test of it fails when a function is no longer audited, or records other fields. The text has no
/// line numbers, so that it changes only with the attributes. Libraries in the program are a part of
/// it: [`catalogue_of`] prints one module.
///
/// ```
/// use audit_runtime::{audited, testing};
///
/// #[audited(event = "order.cancelled", id = none, actor = "broker")]
/// async fn cancel(reason: &str) {}
///
/// # if cfg!(target_os = "linux") {
/// let text = testing::catalogue();
/// assert!(text.contains("\n  events     order.cancelled\n"));
/// assert!(text.contains("\n  fields     reason\n"));
/// # }
/// ```
#[must_use]
pub fn catalogue() -> String {
    catalogue_of("")
}

/// Prints the catalogue of a module and the modules in it, as [`catalogue`] does.
///
/// ```
/// use audit_runtime::testing;
///
/// mod orders {
///     #[audit_runtime::audited(event = "order.cancelled", id = none)]
///     pub fn cancel(reason: &str) {}
/// }
///
/// let text = testing::catalogue_of(concat!(module_path!(), "::orders"));
/// # assert!(!cfg!(target_os = "linux") || text.contains("::orders::cancel in "));
/// ```
#[must_use]
pub fn catalogue_of(module: &str) -> String {
    let is_within = |function: &str| {
        let rest = function.strip_prefix(module);
        rest.is_some_and(|rest| module.is_empty() || rest.starts_with("::"))
    };
    let functions = crate::call::catalogue().into_iter().filter(|function| is_within(&function.function));
    functions.map(|function| function.to_string()).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn only(mut events: Vec<TrailEvent>) -> TrailEvent {
    match (events.pop(), events.is_empty()) {
        (Some(event), true) => event,
        (last, _) => {
            events.extend(last);
            panic!("expected one event, recorded were:\n{}", listed(&events))
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
