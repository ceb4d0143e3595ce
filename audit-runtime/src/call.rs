//! What the code that `#[audited]` expands to calls: one audited call from its beginning to its end.

mod body;
pub(crate) mod buffer;
mod changes;
mod guarantee;
mod transaction;

pub use body::InCall;
pub use guarantee::{Refused, refused};
pub use transaction::RowConnection;

use crate::audit::{Audit, warn_not_installed};
use crate::bounds::{Capture, EventType};
use crate::capture::{self, Fields, Next, Rules};
use crate::clock::{self, Beginning};
use crate::context::{Context, Scope};
use crate::core::Core;
use crate::error::ErrorText;
use crate::event::{EntityId, IntoEntityId, Outcome};
use crate::mask::{Mask, REDACTED};
use crate::payload::{self, Tail};
use crate::personal::SUBJECT;
use crate::trace::Trace;
use changes::Changes;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use uuid::Uuid;

/// What is known of an annotated function at compile time.
#[derive(Debug)]
pub struct Site {
    /// Its path.
    pub function: &'static str,
    /// The event type, or empty if it is not a literal.
    pub event: &'static str,
    /// The event type of a call that did not return `Ok`, or empty.
    pub error_event: &'static str,
    /// The entity type, or empty if it is not a literal.
    pub entity: &'static str,
    /// The actor, or empty if it is not a literal.
    pub actor: &'static str,
    /// Whether an intent precedes each call.
    pub intent: bool,
}

/// One audited call. Dropped before it was finished, it records that the call panicked or was cancelled.
#[derive(Debug)]
pub struct Call {
    active: Option<Active>,
    /// The function that no handle is in force for.
    uninstalled: Option<&'static str>,
}

#[derive(Debug)]
struct Active {
    core: Arc<Core>,
    fields: Fields,
    id: Uuid,
    intent: Intent,
    beginning: Beginning,
    event: Cow<'static, str>,
    error_event: Cow<'static, str>,
    entity: Cow<'static, str>,
    entity_id: Option<Uuid>,
    actor: Cow<'static, str>,
    context: Option<Arc<Context>>,
    correlation: Uuid,
    causation: Option<Uuid>,
    trace: Option<Trace>,
    changes: Changes,
    /// The call began while its thread was already unwinding: a drop then says nothing about this call.
    unwinding: bool,
    /// Nothing has happened yet.
    unpolled: bool,
    /// Some of its values are personal, and whose they are is told.
    is_personal: bool,
    /// A caller's transaction may hold the call's row already.
    in_doubt: bool,
}

/// The event that a call is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    None,
    /// It will have this id.
    Planned(Uuid),
    /// It is in the journal.
    Recorded,
}

impl Active {
    fn begin(site: &'static Site, core: &Arc<Core>, scope: &Scope) -> Self {
        let beginning = Beginning::now();
        let (intent, id) = if site.intent {
            let (intent, id) = clock::intent_ids(beginning.micros);
            (Intent::Planned(intent), id)
        } else {
            (Intent::None, clock::event_id(beginning.micros))
        };
        let mut buffer = buffer::take();
        payload::begin(&mut buffer);
        let trace = Trace::current();
        Self {
            fields: Fields::new(buffer),
            core: core.clone(),
            id,
            intent,
            beginning,
            event: Cow::Borrowed(site.event),
            error_event: Cow::Borrowed(site.error_event),
            entity: Cow::Borrowed(site.entity),
            entity_id: None,
            actor: Cow::Borrowed(site.actor),
            context: scope.context.clone(),
            correlation: scope.correlation(trace).unwrap_or(id),
            causation: scope.call.map(|call| call.id),
            trace,
            changes: Changes::default(),
            unwinding: std::thread::panicking(),
            unpolled: false,
            is_personal: false,
            in_doubt: false,
        }
    }

    /// The type of the event that says this outcome.
    fn event_type(&self, outcome: Outcome) -> Cow<'static, str> {
        let known = |event: &Cow<'static, str>| Some(event.clone()).filter(|event| !event.is_empty());
        let error_event = || known(&self.error_event);
        match outcome {
            Outcome::Ok => known(&self.event).or_else(error_event),
            Outcome::Started => known(&self.event),
            _ => error_event().or_else(|| known(&self.event)),
        }
        // A late event type is not known of a call that did not return.
        .unwrap_or_else(|| Cow::Owned(format!("{}.{outcome}", self.entity)))
    }

    /// Completes a buffer that holds the call's data.
    fn complete(&self, buffer: &mut Vec<u8>, id: Uuid, outcome: Outcome, duration: Option<i64>) {
        let context = self.context.as_deref();
        let actor = match &*self.actor {
            "" => context.and_then(Context::actor_text).unwrap_or_else(|| self.core.actor()),
            actor => actor,
        };
        let attributes = Trace::beside(self.trace, context.map_or("", Context::attributes_json));
        payload::complete(
            buffer,
            &Tail {
                id,
                event_type: &self.event_type(outcome),
                entity_type: &self.entity,
                entity_id: self.entity_id,
                actor,
                data: "",
                created_at: self.beginning.micros,
                outcome,
                duration,
                correlation_id: Some(self.correlation),
                causation_id: self.causation,
                context: &self.core.rules().settle(&attributes),
                origin: self.core.origin(),
                is_personal: self.is_personal,
            },
        );
    }
}

impl Call {
    /// Begins a call; it records nothing if no handle is in force.
    #[must_use]
    pub fn begin(site: &'static Site) -> Self {
        let begin = |scope: &Scope| scope.core().map(|core| Active::begin(site, core, scope));
        // A thread that is being torn down has no scope left: its calls are the installed handle's.
        let active = Scope::with(begin).unwrap_or_else(|| begin(&Scope::EMPTY));
        let uninstalled = active.is_none().then_some(site.function);
        if let Some(function) = uninstalled {
            warn_not_installed(function);
        }
        Self { active, uninstalled }
    }

    /// Begins a call that this handle records.
    #[must_use]
    pub fn begin_with(site: &'static Site, audit: &Audit) -> Self {
        Self { active: Some(Active::begin(site, audit.core(), &Scope::current())), uninstalled: None }
    }

    /// Captures, if anything is recorded. A panic of the attribute's own expressions is data, and no panic of the call.
    pub fn capture(&mut self, capture: impl FnOnce(&mut Self)) {
        if self.active.is_some()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| capture(self)))
        {
            self.serialize("$error", &format!("panicked: {}", capture::panic_message(panic.as_ref())));
        }
    }

    /// The call is not to be recorded after all.
    pub fn discard(&mut self) {
        if let Some(active) = self.active.take() {
            buffer::give(active.fields.end());
        }
    }

    /// The event type of a call that returns `Ok`.
    pub fn event(&mut self, event: impl EventType) {
        if let Some(active) = &mut self.active {
            active.event = event.into_event_type();
        }
    }

    /// The event type of a call that does not.
    pub fn error_event(&mut self, event: impl EventType) {
        if let Some(active) = &mut self.active {
            active.error_event = event.into_event_type();
        }
    }

    /// The type of the entity.
    pub fn entity(&mut self, entity: impl Into<Cow<'static, str>>) {
        if let Some(active) = &mut self.active {
            active.entity = entity.into();
        }
    }

    /// The id of the entity.
    pub fn entity_id<T: IntoEntityId>(&mut self, id: T) {
        if let Some(active) = &mut self.active {
            match id.to_entity_id() {
                EntityId::None => active.entity_id = None,
                EntityId::Id(id) => active.entity_id = Some(id),
                EntityId::NotAnId(text) => active.fields.serialize(active.core.rules(), "$entity_id", &text),
            }
        }
    }

    /// Who does it.
    pub fn actor<T: Display + ?Sized>(&mut self, actor: &T) {
        if let Some(active) = &mut self.active {
            active.actor = Cow::Owned(capture::text(actor));
        }
    }

    /// Says whose data the personal values are.
    pub fn subject<T: Display + ?Sized>(&mut self, subject: &T) {
        if let Some(active) = &mut self.active
            && active.core.keeps_personal()
        {
            let rules = Rules { limit: active.core.rules().limit, mask: Mask::NONE };
            active.fields.display(&rules, SUBJECT, subject);
            active.is_personal = true;
        }
    }

    /// The next value is personal.
    pub fn personal(&mut self) -> &mut Self {
        if let Some(active) = &mut self.active {
            active.fields.next(if active.is_personal { Next::Personal } else { Next::Redacted });
        }
        self
    }

    /// Captures a value by serde.
    pub fn serialize<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut self.active {
            active.fields.serialize(active.core.rules(), name, value);
        }
    }

    /// Captures a value by its `Display`.
    pub fn display<T: Display + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut self.active {
            active.fields.display(active.core.rules(), name, value);
        }
    }

    /// Captures a value by its `Debug`.
    pub fn debug<T: Debug + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut self.active {
            active.fields.debug(active.core.rules(), name, value);
        }
    }

    /// Says that there was a value, and not which.
    pub fn redacted(&mut self, name: &'static str) {
        self.serialize(name, REDACTED);
    }

    /// Captures the return value by serde; `()` is no value.
    pub fn result<T: Capture + ?Sized>(&mut self, value: &T) {
        if std::any::type_name::<T>() != std::any::type_name::<()>() {
            self.serialize("result", value);
        } else if let Some(active) = &mut self.active {
            active.fields.next(Next::Plain);
        }
    }

    /// Captures the error.
    pub fn error(&mut self, describe: &dyn Fn() -> ErrorText) {
        if let Some(active) = &mut self.active {
            active.fields.field(active.core.rules(), "error", &mut |json| describe().serialize(json));
        }
    }

    /// The function has only made its future: it will not count as a call unless that is polled.
    pub fn await_poll(&mut self) {
        if let Some(active) = &mut self.active {
            active.unpolled = true;
        }
    }

    /// The future is polled.
    pub fn polled(&mut self) {
        if let Some(active) = &mut self.active {
            active.unpolled = false;
        }
    }

    /// Records that the call returned, `Ok` if it is fallible.
    pub fn finish_ok(mut self) {
        self.finish(Outcome::Ok);
    }

    /// Records that the call returned `Err`.
    pub fn finish_error(mut self) {
        self.finish(Outcome::Error);
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(mut active) = self.active.take() else {
            return;
        };
        let duration = active.beginning.elapsed_micros();
        active.changes.write(&mut active.fields, active.core.rules());
        let mut buffer = std::mem::take(&mut active.fields).end();
        active.complete(&mut buffer, active.id, outcome, Some(duration));
        // A refusal is counted and warned of there; the call itself goes on.
        let recorded = active.core.append(&buffer);
        if active.intent == Intent::Recorded && recorded.is_ok() {
            active.core.counters.intent_ended();
        }
        buffer::give(buffer);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(active) = &mut self.active {
            if active.unpolled {
                return self.discard();
            }
            if active.in_doubt {
                // The row under its id may yet be committed.
                active.id = clock::event_id(active.beginning.micros);
            }
            let panicked = std::thread::panicking() && !active.unwinding;
            self.finish(if panicked { Outcome::Panicked } else { Outcome::Cancelled });
        }
    }
}

/// A fallible function returns this.
pub fn as_result<T, E>(result: &Result<T, E>) -> &Result<T, E> {
    result
}

/// Applies a late closure: fixes the type of its parameter, so that users need not write it.
pub fn late<'a, T: ?Sized, R>(value: &'a T, closure: impl FnOnce(&'a T) -> R) -> R {
    closure(value)
}

/// Fails the compilation if a constant is no event type.
///
/// # Panics
/// Never at run time: it is called in a `const` block.
pub const fn check_event_type(text: &str) {
    assert!(
        crate::event::is_event_type(text),
        "this constant is no event type; write noun.verb in lower case, as in \"order.submitted\", at most 128 bytes"
    );
}
