//! Scopes: the handle, the context and the running call that are in force on a thread.

use super::Context;
use crate::record::Trace;
use crate::recorder::{Handle, Inherited, RuleName, installed};
use pin_project_lite::pin_project;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use uuid::Uuid;

thread_local! {
    static AROUND: RefCell<Ambient> = const { RefCell::new(Ambient { handle: None, context: None }) };
    /// Apart, because it changes with every call, and because it never needs to be dropped.
    static CALL: Cell<Option<CallFrame>> = const { Cell::new(None) };
}

/// The handle and the context in force on this thread around its audited calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ambient {
    pub(crate) handle: Option<Arc<Handle>>,
    pub(crate) context: Option<Arc<Context>>,
}

/// The handle, the context and the call in force on this thread now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) around: Ambient,
    pub(crate) call: Option<CallFrame>,
}

/// The audited call that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallFrame {
    pub(crate) id: Uuid,
    pub(crate) correlation: Uuid,
    /// The address of the handle's recorder. A call that another handle records is not a cause in
    /// this one's trail.
    pub(crate) trail: NonZero<usize>,
    /// The rule by which the call is not recorded, unless it fails.
    pub(crate) left_out: Option<RuleName>,
}

/// Returns the correlation of an event here: that of the call around it, else of its context, else
/// of its trace.
pub(crate) fn correlation(call: Option<CallFrame>, context: Option<&Context>, trace: Option<Trace>) -> Option<Uuid> {
    let of_context = || context.and_then(Context::correlation_id);
    call.map(|call| call.correlation).or_else(of_context).or_else(|| Trace::correlation(trace))
}

impl Ambient {
    /// Accesses the scope and call in force, or nothing while the thread is being torn down.
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
        Self { around: Ambient::with(Ambient::clone), call: current_call() }
    }

    /// Returns what an event that is recorded by hand inherits here.
    pub(crate) fn inherited(&self) -> Inherited<'_> {
        let (trace, context) = (Trace::current(), self.around.context.as_deref());
        Inherited {
            actor: context.and_then(Context::actor_name),
            tenant: context.and_then(Context::tenant_name),
            correlation_id: correlation(self.call, context, trace),
            causation_id: self.call.map(|call| call.id),
            cause_left_out: self.call.and_then(|call| call.left_out),
            attributes: Trace::beside(trace, context.map_or("", Context::attributes_json)),
            is_personal: context.is_some_and(Context::is_personal),
        }
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
pub(crate) fn current_call() -> Option<CallFrame> {
    CALL.get()
}

/// Exchanges the running call of this thread, and returns what it was.
#[inline]
pub(crate) fn swap_call(call: Option<CallFrame>) -> Option<CallFrame> {
    CALL.replace(call)
}

/// The change that a scope makes to the one around it.
#[derive(Debug, Clone)]
pub(crate) enum ScopeChange {
    Handle(Arc<Handle>),
    Context(Context),
}

impl ScopeChange {
    /// The scope that comes of it here.
    fn applied(self) -> Scope {
        match self {
            // Another trail begins: a call that another handle records is not a cause in this one.
            Self::Handle(handle) => {
                installed::may_record();
                Scope { around: Ambient { handle: Some(handle), ..Scope::current().around }, call: None }
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

/// A change applies where the future is first polled, not where it was made. So scopes can be
/// nested by wrapping futures, in any order.
#[derive(Debug, Clone)]
enum State {
    Made(ScopeChange),
    Applied(Scope),
}

impl State {
    fn scope(&mut self) -> &mut Scope {
        if let Self::Made(change) = self {
            *self = Self::Applied(change.clone().applied());
        }
        match self {
            Self::Applied(scope) => scope,
            Self::Made(_) => unreachable!("it was just applied"),
        }
    }
}

/// A guard that keeps a context or a handle in force on this thread.
///
/// Dropping it restores the one before.
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
        let _entered = RestoreOnDrop::new(this.state.scope());
        this.future.poll(cx)
    }
}

/// Carries the scope in force here along with a future, into a task of its own.
///
/// The scope consists of the handle, the context and the running call.
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

/// Carries the scope in force here along with a closure, onto another thread.
///
/// For futures, see [`InContext`].
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
struct RestoreOnDrop<'a>(&'a mut Scope);

impl<'a> RestoreOnDrop<'a> {
    fn new(scope: &'a mut Scope) -> Self {
        scope.swap();
        Self(scope)
    }
}

impl Drop for RestoreOnDrop<'_> {
    fn drop(&mut self) {
        self.0.swap();
    }
}

impl Context {
    /// Returns the context in force here, which is empty outside of every context and call.
    ///
    /// It has the correlation of the audited call around it, but does not name that call as a
    /// cause. Sent beside a job through a channel, it keeps the job's events in the same request:
    ///
    /// ```
    /// use audit_runtime::Context;
    /// # async fn settle(invoice: u32) {}
    /// # async fn example() {
    /// let (sender, mut jobs) = tokio::sync::mpsc::channel::<(Context, u32)>(8);
    /// sender.send((Context::current(), 7)).await.unwrap();
    /// while let Some((context, invoice)) = jobs.recv().await {
    ///     context.scope(settle(invoice)).await;
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn current() -> Self {
        let Scope { around, call } = Scope::current();
        let mut context = around.context.as_deref().cloned().unwrap_or_default();
        context.correlation = correlation(call, Some(&context), Trace::current());
        context
    }

    /// Puts the context in force on this thread until the guard is dropped.
    ///
    /// For a future, use [`scope`](Self::scope). A guard held across an await would stay in force
    /// for other tasks that run on the thread meanwhile.
    pub fn enter(self) -> Entered {
        ScopeChange::Context(self).enter()
    }

    /// Puts the context in force whenever the future is polled, on whichever thread.
    pub fn scope<F: Future>(self, future: F) -> Scoped<F> {
        ScopeChange::Context(self).around(future)
    }

    fn applied(self) -> Scope {
        let mut scope = Scope::current();
        if let (Some(call), Some(correlation)) = (&mut scope.call, self.correlation) {
            call.correlation = correlation;
        }
        let context = match scope.around.context.as_deref() {
            Some(outer) => self.within(outer),
            None => self,
        };
        scope.around.context = Some(Arc::new(context));
        scope
    }
}
