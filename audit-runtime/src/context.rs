//! Who acts, in which request, inside which audited call: what every event below inherits.

use crate::audit::{self, Audit};
use crate::capture;
use crate::json::Json;
use crate::mask::{Mask, REDACTED, Role};
use crate::nul::apart;
use crate::trace::{SPAN_ID, TRACE_ID, Trace};
use pin_project_lite::pin_project;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use uuid::Uuid;

thread_local! {
    static AROUND: RefCell<Around> = const { RefCell::new(Around { audit: None, context: None }) };
    /// Apart, because it changes with every call; and nothing of it is ever dropped.
    static CALL: Cell<Option<Frame>> = const { Cell::new(None) };
}

/// What is in force on this thread around its audited calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Around {
    pub(crate) audit: Option<Audit>,
    pub(crate) context: Option<Arc<Context>>,
}

/// What is in force on this thread now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) around: Around,
    pub(crate) call: Option<Frame>,
}

/// The audited call that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) id: Uuid,
    pub(crate) correlation: Uuid,
    /// The address of the handle's core: a call that another handle records is no cause in this one's trail.
    pub(crate) trail: NonZero<usize>,
}

/// What an event here belongs to: the correlation of the call around it, else of its context, else of its trace.
pub(crate) fn correlation(call: Option<Frame>, context: Option<&Context>, trace: Option<Trace>) -> Option<Uuid> {
    let of_context = || context.and_then(Context::correlation_id);
    call.map(|call| call.correlation).or_else(of_context).or_else(|| Trace::correlation(trace))
}

impl Around {
    /// Looks at what is in force; at nothing while the thread is being torn down.
    #[inline]
    pub(crate) fn with<R>(look: impl Fn(&Self) -> R) -> R {
        let looked = AROUND.try_with(|around| around.try_borrow().ok().map(|around| look(&around)));
        looked.ok().flatten().unwrap_or_else(|| look(&Self::default()))
    }

    fn swap(&mut self) {
        let _ = AROUND.try_with(|around| {
            if let Ok(mut around) = around.try_borrow_mut() {
                std::mem::swap(&mut *around, self);
            }
        });
    }
}

impl Scope {
    pub(crate) fn current() -> Self {
        Self { around: Around::with(Around::clone), call: current_call() }
    }

    /// Exchanges the current scope for this one.
    fn swap(&mut self) {
        self.around.swap();
        self.call = swap_call(self.call);
    }

    /// Makes this the current scope until the guard is dropped.
    fn enter(mut self) -> Entered {
        self.swap();
        Entered { previous: self, not_send: PhantomData }
    }
}

/// The running call of this thread.
#[inline]
pub(crate) fn current_call() -> Option<Frame> {
    CALL.get()
}

/// Exchanges the running call of this thread; returns what it was.
#[inline]
pub(crate) fn swap_call(call: Option<Frame>) -> Option<Frame> {
    CALL.replace(call)
}

/// What a scope changes of the one around it.
#[derive(Debug, Clone)]
pub(crate) enum Layer {
    Audit(Audit),
    Context(Context),
}

impl Layer {
    /// The scope that comes of it here.
    fn applied(self) -> Scope {
        match self {
            // Another trail begins: a call that another handle records is no cause in this one.
            Self::Audit(audit) => {
                audit::may_record();
                Scope { around: Around { audit: Some(audit), ..Scope::current().around }, call: None }
            }
            Self::Context(context) => context.applied(),
        }
    }

    /// In force on this thread until the guard is dropped.
    pub(crate) fn enter(self) -> Entered {
        self.applied().enter()
    }

    /// In force whenever `future` is polled.
    pub(crate) fn around<F>(self, future: F) -> Scoped<F> {
        Scoped { future, state: State::Made(self) }
    }
}

/// A layer is applied to what is in force where the future is first polled, not where it was made: scopes can be
/// nested by wrapping futures, in whichever order.
#[derive(Debug, Clone)]
enum State {
    Made(Layer),
    Applied(Scope),
}

impl State {
    fn scope(&mut self) -> &mut Scope {
        if let Self::Made(layer) = self {
            *self = Self::Applied(layer.clone().applied());
        }
        match self {
            Self::Applied(scope) => scope,
            Self::Made(_) => unreachable!("it was just applied"),
        }
    }
}

/// Keeps a context or a handle in force on this thread; dropping it restores what was before.
#[derive(Debug)]
#[must_use = "what was entered is left as soon as the guard is dropped"]
pub struct Entered {
    previous: Scope,
    /// It belongs to the thread it was made on.
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.previous.swap();
    }
}

pin_project! {
    /// A future inside a context or a handle's scope.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Scoped<F> {
        #[pin]
        future: F,
        state: State,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = Swapped::new(this.state.scope());
        this.future.poll(cx)
    }
}

/// Carries what is in force here (handle, context, running call) along with a future, into a task of its own.
///
/// ```
/// use audit_runtime::{Context, InContext};
/// # async fn send_receipt() {}
/// # async fn handler() {
/// Context::new().actor("user:42").scope(async {
///     tokio::spawn(async { send_receipt().await }.in_context()); // still user:42, and caused by the call around
/// }).await;
/// # }
/// ```
pub trait InContext: Future + Sized {
    /// Puts what is in force now in force whenever the future is polled, on whichever thread.
    fn in_context(self) -> Scoped<Self> {
        Scoped { future: self, state: State::Applied(Scope::current()) }
    }
}

impl<F: Future> InContext for F {}

/// Carries what is in force here along with a closure, onto another thread: see [`InContext`] for futures.
///
/// ```
/// use audit_runtime::{Context, in_context};
/// # fn send_receipt() {}
/// let _inside = Context::new().actor("user:42").enter();
/// std::thread::spawn(in_context(|| send_receipt())).join().unwrap();
/// ```
pub fn in_context<R>(closure: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let scope = Scope::current();
    move || {
        let _entered = scope.enter();
        closure()
    }
}

/// Exchanges two scopes, and back, also when the poll in between panics.
struct Swapped<'a>(&'a mut Scope);

impl<'a> Swapped<'a> {
    fn new(scope: &'a mut Scope) -> Self {
        scope.swap();
        Self(scope)
    }
}

impl Drop for Swapped<'_> {
    fn drop(&mut self) {
        self.0.swap();
    }
}

/// Who acts and in which request. What it does not say is inherited from the context around it.
///
/// ```
/// use audit_runtime::Context;
/// # async fn cancel_order() {}
/// # async fn handler() {
/// Context::new().actor("user:42").attribute("tenant", "acme").scope(async {
///     cancel_order().await; // every event in here names user:42 and the tenant
/// }).await;
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    actor: Option<String>,
    correlation: Option<Uuid>,
    attributes: BTreeMap<String, Json>,
    /// The attributes as JSON, or empty: made once, not at every event.
    json: String,
}

impl Context {
    /// A context that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is in force here; empty outside of every context. It holds no audited call.
    #[must_use]
    pub fn current() -> Self {
        Around::with(|around| around.context.as_deref().cloned()).unwrap_or_default()
    }

    /// Who acts: the actor of every event that names none itself.
    #[must_use]
    pub fn actor(mut self, actor: impl Display) -> Self {
        self.actor = Some(actor.to_string());
        self
    }

    /// Which request or process it belongs to: `correlation_id` of every event. Without one, each outermost audited
    /// call begins its own.
    #[must_use]
    pub fn correlation(mut self, correlation: Uuid) -> Self {
        self.correlation = Some(correlation);
        self
    }

    /// A further fact about all events, a key of the column `context`. A value that cannot be serialised is kept as
    /// `{"$error": ".."}`; one whose name says secret, and such keys inside of it, as `"[redacted]"`.
    #[must_use]
    pub fn attribute<T: Serialize>(mut self, name: impl Into<String>, value: T) -> Self {
        let name = name.into();
        let value = match Mask::NONE.role(&name) {
            Role::Secret => REDACTED.into(),
            _ => capture::to_json(&value)
                .map_or_else(|error| [("$error", error)].into_iter().collect(), |json| Json::read(&json)),
        };
        self.attributes.insert(apart(&name).into_owned(), value);
        self.json = Json::from(self.attributes.clone()).to_string();
        self
    }

    /// With a correlation of its own, unless it has one.
    #[cfg(feature = "tower")]
    pub(crate) fn correlated(mut self) -> Self {
        self.correlation.get_or_insert_with(Uuid::now_v7);
        self
    }

    /// The span it belongs to, as the header `traceparent` of W3C Trace Context has it: attributes `trace_id` and
    /// `span_id`, and, unless the context has another one, the trace's id as the correlation. A text that is no such header
    /// changes nothing.
    ///
    /// ```
    /// use audit_runtime::Context;
    /// let context = Context::new().traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    /// ```
    #[must_use]
    pub fn traceparent(self, header: &str) -> Self {
        let Some(trace) = Trace::parse(header) else {
            return self;
        };
        let (trace_id, span_id) = trace.texts();
        let mut context = self.attribute(TRACE_ID, trace_id).attribute(SPAN_ID, span_id);
        context.correlation = context.correlation.or(Some(Uuid::from_u128(trace.trace_id)));
        context
    }

    /// Puts the context in force on this thread until the guard is dropped. For a future use [`scope`](Self::scope):
    /// a guard held across an await would stay in force for whatever else runs on the thread meanwhile.
    pub fn enter(self) -> Entered {
        Layer::Context(self).enter()
    }

    /// Puts the context in force whenever the future is polled, on whichever thread.
    pub fn scope<F: Future>(self, future: F) -> Scoped<F> {
        Layer::Context(self).around(future)
    }

    fn applied(mut self) -> Scope {
        let mut scope = Scope::current();
        if let (Some(call), Some(correlation)) = (&mut scope.call, self.correlation) {
            call.correlation = correlation;
        }
        if let Some(outer) = scope.around.context.as_deref() {
            self.actor = self.actor.or_else(|| outer.actor.clone());
            self.correlation = self.correlation.or(outer.correlation);
            if self.attributes.is_empty() {
                self.json.clone_from(&outer.json);
                self.attributes.clone_from(&outer.attributes);
            } else if !outer.attributes.is_empty() {
                let mut attributes = outer.attributes.clone();
                attributes.append(&mut self.attributes);
                self.attributes = attributes;
                self.json = Json::from(self.attributes.clone()).to_string();
            }
        }
        scope.around.context = Some(Arc::new(self));
        scope
    }

    pub(crate) fn actor_text(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Its correlation, if it has one.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Uuid> {
        self.correlation
    }

    pub(crate) fn attributes_json(&self) -> &str {
        &self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn attributes_hold_no_secrets_and_no_failure() {
        let context = Context::new()
            .attribute("tenant", json!({"name": "acme", "api_key": "k-17"}))
            .attribute("session_token", "t-18")
            .attribute("odd", std::collections::BTreeMap::from([(vec![1], 2)]));
        let attributes: Value = serde_json::from_str(context.attributes_json()).unwrap();
        assert_eq!(
            attributes,
            json!({"tenant": {"name": "acme", "api_key": "[redacted]"}, "session_token": "[redacted]",
                   "odd": {"$error": "key must be a string"}})
        );
    }
}
