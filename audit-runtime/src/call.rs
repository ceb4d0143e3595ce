//! What the code that `#[audited]` expands to calls: one audited call from its beginning to its end.

use crate::audit::{Audit, warn_not_installed};
use crate::bounds::{Capture, EventType};
use crate::capture::{self, Fields};
use crate::clock::{self, Beginning};
use crate::context::{Context, Frame, Scope, swap_call};
use crate::core::Core;
use crate::error::ErrorText;
use crate::event::{EntityId, IntoEntityId, Outcome};
use crate::mask::REDACTED;
use crate::payload::{self, Tail};
use pin_project_lite::pin_project;
use serde::Serialize;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
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
}

/// One audited call. Dropped before it was finished, it records that the call panicked or was cancelled.
#[derive(Debug)]
pub struct Call(Option<Active>);

#[derive(Debug)]
struct Active {
    core: Arc<Core>,
    fields: Fields,
    id: Uuid,
    beginning: Beginning,
    event: Cow<'static, str>,
    error_event: Cow<'static, str>,
    entity: Cow<'static, str>,
    entity_id: Option<Uuid>,
    actor: Cow<'static, str>,
    context: Option<Arc<Context>>,
    correlation: Uuid,
    causation: Option<Uuid>,
    /// The call began while its thread was already unwinding: a drop then says nothing about this call.
    unwinding: bool,
    /// Nothing has happened yet.
    unpolled: bool,
}

impl Active {
    fn begin(site: &'static Site, core: &Arc<Core>, scope: &Scope) -> Self {
        let beginning = Beginning::now();
        let id = clock::event_id(beginning.micros);
        let mut buffer = take_buffer();
        payload::begin(&mut buffer);
        let inherited = scope.context.as_ref().and_then(|context| context.correlation_id());
        Self {
            fields: Fields::new(buffer),
            core: core.clone(),
            id,
            beginning,
            event: Cow::Borrowed(site.event),
            error_event: Cow::Borrowed(site.error_event),
            entity: Cow::Borrowed(site.entity),
            entity_id: None,
            actor: Cow::Borrowed(site.actor),
            context: scope.context.clone(),
            correlation: scope.call.map(|call| call.correlation).or(inherited).unwrap_or(id),
            causation: scope.call.map(|call| call.id),
            unwinding: std::thread::panicking(),
            unpolled: false,
        }
    }
}

impl Call {
    /// Begins a call; it records nothing if no handle is in force.
    #[must_use]
    pub fn begin(site: &'static Site) -> Self {
        let begin = |scope: &Scope| scope.core().map(|core| Active::begin(site, core, scope));
        // A thread that is being torn down has no scope left: its calls are the installed handle's.
        let active = Scope::with(begin).unwrap_or_else(|| begin(&Scope::EMPTY));
        if active.is_none() {
            warn_not_installed(site.function);
        }
        Self(active)
    }

    /// Begins a call that this handle records.
    #[must_use]
    pub fn begin_with(site: &'static Site, audit: &Audit) -> Self {
        Self(Some(Active::begin(site, audit.core(), &Scope::current())))
    }

    /// Captures, if anything is recorded. A panic of the attribute's own expressions is data, and no panic of the call.
    pub fn capture(&mut self, capture: impl FnOnce(&mut Self)) {
        if self.0.is_some()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| capture(self)))
        {
            self.serialize("$error", &format!("panicked: {}", capture::panic_message(panic.as_ref())));
        }
    }

    /// The call is not to be recorded after all.
    pub fn discard(&mut self) {
        if let Some(active) = self.0.take() {
            give_buffer(active.fields.end());
        }
    }

    /// The event type of a call that returns `Ok`.
    pub fn event(&mut self, event: impl EventType) {
        if let Some(active) = &mut self.0 {
            active.event = event.into_event_type();
        }
    }

    /// The event type of a call that does not.
    pub fn error_event(&mut self, event: impl EventType) {
        if let Some(active) = &mut self.0 {
            active.error_event = event.into_event_type();
        }
    }

    /// The type of the entity.
    pub fn entity(&mut self, entity: impl Into<Cow<'static, str>>) {
        if let Some(active) = &mut self.0 {
            active.entity = entity.into();
        }
    }

    /// The id of the entity.
    pub fn entity_id<T: IntoEntityId>(&mut self, id: T) {
        if let Some(active) = &mut self.0 {
            match id.to_entity_id() {
                EntityId::None => active.entity_id = None,
                EntityId::Id(id) => active.entity_id = Some(id),
                EntityId::NotAnId(text) => active.fields.serialize(active.core.rules(), "$entity_id", &text),
            }
        }
    }

    /// Who does it.
    pub fn actor<T: Display + ?Sized>(&mut self, actor: &T) {
        if let Some(active) = &mut self.0 {
            active.actor = Cow::Owned(capture::text(actor));
        }
    }

    /// Captures a value by serde.
    pub fn serialize<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut self.0 {
            active.fields.serialize(active.core.rules(), name, value);
        }
    }

    /// Captures a value by its `Display`.
    pub fn display<T: Display + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut self.0 {
            active.fields.display(active.core.rules(), name, value);
        }
    }

    /// Captures a value by its `Debug`.
    pub fn debug<T: Debug + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut self.0 {
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
        }
    }

    /// Captures the error.
    pub fn error(&mut self, describe: &dyn Fn() -> ErrorText) {
        if let Some(active) = &mut self.0 {
            active.fields.field(active.core.rules(), "error", &mut |json| describe().serialize(json));
        }
    }

    fn frame(&self) -> Option<Frame> {
        self.0.as_ref().map(|active| Frame { id: active.id, correlation: active.correlation })
    }

    /// Runs a synchronous body: events below name this call as their cause.
    pub fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        let Some(frame) = self.frame() else {
            return body();
        };
        let _inside = Inside::new(Some(frame));
        body()
    }

    /// Wraps an asynchronous body: events below name this call as their cause.
    pub fn run_async<F: Future>(&self, body: F) -> InCall<F> {
        InCall { body, frame: self.frame() }
    }

    /// The function has only made its future: it will not count as a call unless that is polled.
    pub fn await_poll(&mut self) {
        if let Some(active) = &mut self.0 {
            active.unpolled = true;
        }
    }

    /// The future is polled.
    pub fn polled(&mut self) {
        if let Some(active) = &mut self.0 {
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
        let Some(active) = self.0.take() else {
            return;
        };
        let duration = active.beginning.elapsed_micros();
        let mut buffer = active.fields.end();
        let event = match (outcome, &active.error_event, &active.event) {
            (Outcome::Ok, _, event) if !event.is_empty() => event.clone(),
            (_, error_event, _) if !error_event.is_empty() => error_event.clone(),
            (_, _, event) if !event.is_empty() => event.clone(),
            // A late event type is not known of a call that did not return.
            _ => Cow::Owned(format!("{}.{outcome}", active.entity)),
        };
        let context = active.context.as_deref();
        let actor = match &*active.actor {
            "" => context.and_then(Context::actor_text).unwrap_or_else(|| active.core.actor()),
            actor => actor,
        };
        payload::complete(
            &mut buffer,
            &Tail {
                id: active.id,
                event_type: &event,
                entity_type: &active.entity,
                entity_id: active.entity_id,
                actor,
                data: "",
                created_at: active.beginning.micros,
                outcome,
                duration: Some(duration),
                correlation_id: Some(active.correlation),
                causation_id: active.causation,
                context: &active.core.rules().settle(context.map_or("", Context::attributes_json)),
                origin: active.core.origin(),
            },
        );
        // A refusal is counted and warned of there; the call itself goes on.
        let _ = active.core.append(&buffer);
        give_buffer(buffer);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(active) = &self.0 {
            if active.unpolled {
                return self.discard();
            }
            let panicked = std::thread::panicking() && !active.unwinding;
            self.finish(if panicked { Outcome::Panicked } else { Outcome::Cancelled });
        }
    }
}

/// Puts a call in force on this thread, and what was before back, also when the body panics.
struct Inside(Option<Frame>);

impl Inside {
    fn new(frame: Option<Frame>) -> Self {
        Self(swap_call(frame))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        swap_call(self.0);
    }
}

pin_project! {
    /// The body of an asynchronous call.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct InCall<F> {
        #[pin]
        body: F,
        frame: Option<Frame>,
    }
}

impl<F: Future> Future for InCall<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = this.frame.map(|frame| Inside::new(Some(frame)));
        this.body.poll(cx)
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

/// Buffers that are kept for a thread's next calls, and the largest that is worth keeping.
const KEPT_BUFFERS: usize = 8;
const KEPT_BYTES: usize = 128 * 1024;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn take_buffer() -> Vec<u8> {
    BUFFERS.try_with(|buffers| buffers.borrow_mut().pop()).ok().flatten().unwrap_or_else(|| Vec::with_capacity(1024))
}

pub(crate) fn give_buffer(buffer: Vec<u8>) {
    let _ = BUFFERS.try_with(|buffers| {
        let mut buffers = buffers.borrow_mut();
        if buffers.len() < KEPT_BUFFERS && buffer.capacity() <= KEPT_BYTES {
            buffers.push(buffer);
        }
    });
}
