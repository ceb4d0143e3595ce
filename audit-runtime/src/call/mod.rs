//! One audited call from its beginning to its end: the code that `#[audited]` expands to calls
//! this.

mod active;
#[cfg(feature = "actix-web")]
mod actix;
mod body;
mod changes;
mod compare;
mod demands;
mod described;
mod ending;
mod guarantee;
mod handover;
mod hidden_result;
mod late_arguments;
mod links;
mod metadata;
mod parameter;
mod personal;
mod recorder_ref;
mod registered;
#[cfg(feature = "axum")]
pub(crate) mod response;
mod returned;
mod shown;
mod site;
#[cfg(any(feature = "actix-web", feature = "axum"))]
mod statuses;
mod thinning;
mod transaction;

pub use body::InCall;
pub use demands::{
    EndsInError, Fails, Fallible, NoError, NoErrorBeside, ends_in_error, fails, fallible, late_error, no_error,
    no_error_beside,
};
pub use described::described;
pub use guarantee::{Refusal, Refused, refused, refused_by_type};
pub use handover::{Handed, Handover};
pub use late_arguments::{checked_event_type, late, late_condition};
pub use parameter::parameter;
pub use registered::{catalogue, sites};
pub use returned::{Ended, Never, ReturnedFuture, returned};
pub use shown::{ShownValue, shown};
pub use site::{Site, SiteTexts};

use crate::capture::diagnostics::{Capture, EventType};
use crate::capture::error_text::ErrorText;
use crate::capture::mask::REDACTED;
use crate::capture::{self, Key, Next, Scalar};
use crate::context::Ambient;
use crate::event::{IntoEntityId, IntoTargets, IntoTenant};
use crate::recorder::{Recorder, installed};
use active::Active;
use late_arguments::known_event_type;
use recorder_ref::RecorderRef;
use serde::Serialize;
use std::any::Any;
use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use thinning::Thinning;

/// One audited call.
///
/// If it is dropped before it was finished, it records that the call panicked or was cancelled. The
/// annotated function inlines only the check whether anything is recorded.
#[derive(Debug)]
pub struct Call {
    /// One pointer: a call is moved around, into futures too. (Its drop is the call's. A second
    /// check whether there is something to drop was a quarter of the cost of an unrecorded call.)
    active: ManuallyDrop<Option<Box<Active>>>,
    /// The function that no handle is in force for.
    uninstalled: Option<&'static Site>,
}

impl Call {
    const UNRECORDED: Self = Self { active: ManuallyDrop::new(None), uninstalled: None };

    #[inline]
    const fn uninstalled(site: &'static Site) -> Self {
        Self { active: ManuallyDrop::new(None), uninstalled: Some(site) }
    }

    /// Begins a call, and captures the values known at its entry.
    ///
    /// It records nothing if no handle is in force.
    #[inline]
    #[must_use]
    pub fn begin(site: &'static Site, entry: impl FnOnce(&mut Self)) -> Self {
        if installed::never_records() {
            return Self::uninstalled(site);
        }
        Self::begun(begin_if_installed(site), site, entry)
    }

    /// Begins a call that this recorder records.
    #[inline]
    pub(crate) fn begin_by(site: &'static Site, recorder: &Arc<Recorder>, entry: impl FnOnce(&mut Self)) -> Self {
        Self::begun(Some(begin_by(site, recorder)), site, entry)
    }

    /// Begins a call that this recorder records, if this is true.
    #[inline]
    pub(crate) fn begin_by_when(
        site: &'static Site,
        recorder: &Arc<Recorder>,
        when: impl FnOnce() -> bool,
        entry: impl FnOnce(&mut Self),
    ) -> Self {
        match wanted(when) {
            Some(panic) => Self::begin_by(site, recorder, |call| call.enter(panic, entry)),
            None => Self::UNRECORDED,
        }
    }

    /// Begins a call that is recorded only if the condition is true.
    ///
    /// A panic of the condition is recorded as data, and does not fail the call.
    #[inline]
    #[must_use]
    pub fn begin_when(site: &'static Site, when: impl FnOnce() -> bool, entry: impl FnOnce(&mut Self)) -> Self {
        if installed::never_records() {
            return Self::uninstalled(site);
        }
        match wanted(when) {
            Some(panic) => Self::begin(site, |call| call.enter(panic, entry)),
            None => Self::UNRECORDED,
        }
    }

    /// Captures the call's entry, outside of the annotated function.
    ///
    /// That keeps the function as small as it can be where nothing is recorded.
    #[inline(never)]
    fn begun(active: Option<Box<Active>>, site: &'static Site, entry: impl FnOnce(&mut Self)) -> Self {
        let uninstalled = if active.is_none() { Some(site) } else { None };
        let mut call = Self { active: ManuallyDrop::new(active), uninstalled };
        call.capture(entry);
        call
    }

    fn enter(&mut self, panic: Option<Panic>, entry: impl FnOnce(&mut Self)) {
        if let Some(panic) = panic {
            self.capture_panicked(panic.as_ref());
        }
        entry(self);
    }

    /// Captures values, if the call is recorded.
    ///
    /// A panic of the attribute's own expressions is recorded as data, and does not fail the call.
    #[inline]
    pub fn capture(&mut self, capture: impl FnOnce(&mut Self)) {
        if self.active.is_some()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| capture(self)))
        {
            self.capture_panicked(panic.as_ref());
        }
    }

    /// Returns whether anything is recorded.
    #[inline]
    pub(super) fn is_recorded(&self) -> bool {
        self.active.is_some()
    }

    #[cold]
    fn capture_panicked(&mut self, panic: &(dyn Any + Send)) {
        self.serialize(const { &Key::new("$error") }, &format!("panicked: {}", capture::panic_message(panic)));
    }

    /// Notes that no rule of a policy leaves the call out.
    pub fn always(&mut self) {
        if let Some(active) = &mut *self.active {
            active.thinning.decide_otherwise(Thinning::Always);
        }
    }

    /// Notes that a policy decides about the call when it has returned.
    ///
    /// Its type or its entity are known only then.
    pub fn decided_late(&mut self) {
        if let Some(active) = &mut *self.active {
            active.thinning.decide_otherwise(Thinning::Late);
        }
    }

    /// Drops the call without recording it.
    pub fn discard(&mut self) {
        if let Some(active) = self.active.take() {
            active.not_recorded();
        }
    }

    /// Sets the event type of a call that returns `Ok`.
    pub fn event(&mut self, event: impl EventType) {
        if let Some(active) = &mut *self.active {
            active.metadata.overrides().event = Some(known_event_type(event));
        }
    }

    /// Sets the event type of a call that does not return `Ok`.
    pub fn error_event(&mut self, event: impl EventType) {
        if let Some(active) = &mut *self.active {
            active.metadata.overrides().error_event = Some(known_event_type(event));
        }
    }

    /// Sets the type of the entity.
    pub fn entity(&mut self, entity: impl Into<Cow<'static, str>>) {
        if let Some(active) = &mut *self.active {
            active.metadata.overrides().entity = Some(entity.into());
        }
    }

    /// Sets the id of the entity.
    pub fn entity_id<T: IntoEntityId>(&mut self, id: T) {
        if let Some(active) = &mut *self.active {
            id.entity_ref(&mut |entity| active.metadata.entity_id(entity));
        }
    }

    /// Sets the tenant whose data the event is about.
    pub fn tenant<T: IntoTenant + ?Sized>(&mut self, tenant: &T) {
        if let Some(active) = &mut *self.active {
            tenant.tenant_ref(&mut |tenant| active.metadata.tenant(tenant));
        }
    }

    /// Adds further entities.
    pub fn targets<T: IntoTargets + ?Sized>(&mut self, kind: &str, targets: &T) {
        if let Some(active) = &mut *self.active {
            active.metadata.targets(kind, targets);
        }
    }

    /// Sets the actor.
    pub fn actor<T: Display + ?Sized>(&mut self, actor: &T) {
        if let Some(active) = &mut *self.active {
            active.metadata.overrides().actor = Some(capture::text(actor));
        }
    }

    /// Captures a value by serde.
    #[inline]
    pub fn serialize<T: Capture + ?Sized>(&mut self, key: &'static Key, value: &T) {
        let Some(active) = &mut *self.active else {
            return;
        };
        match Scalar::of(value) {
            Some(Scalar::Text(text)) => active.text(key, text),
            Some(Scalar::Unsigned(number)) => active.unsigned(key, number),
            Some(Scalar::Signed(number)) => active.signed(key, number),
            Some(Scalar::Float(number)) => active.float(key, number),
            Some(Scalar::Bool(value)) => active.bool(key, value),
            Some(Scalar::Id(id)) => active.id(key, id),
            None => active.field(key.name(), &mut |json| value.serialize(json)),
        }
    }

    /// Captures a value by serde in which these keys are not secrets.
    ///
    /// Keys are paths below the value itself, as in `leg.token`.
    pub fn serialize_with<T: Capture + ?Sized>(
        &mut self,
        key: &'static Key,
        value: &T,
        plain: &'static [&'static str],
    ) {
        if let Some(active) = &mut *self.active {
            active.field(key.name(), &mut |json| json.except(value, plain));
        }
    }

    /// Captures a value of a generic type: the compiler proposes the trait that users know.
    #[inline]
    pub fn serialize_generic<T: Serialize + ?Sized>(&mut self, key: &'static Key, value: &T) {
        self.serialize(key, value);
    }

    /// Captures a value by its `Display`.
    pub fn display<T: Display + ?Sized>(&mut self, key: &'static Key, value: &T) {
        if let Some(active) = &mut *self.active {
            active.fields.display(active.recorder.rules(), key.name(), value);
        }
    }

    /// Captures a value by its `Debug`.
    pub fn debug<T: Debug + ?Sized>(&mut self, key: &'static Key, value: &T) {
        if let Some(active) = &mut *self.active {
            active.fields.debug(active.recorder.rules(), key.name(), value);
        }
    }

    /// Records that there was a value, and not which.
    pub fn redacted(&mut self, key: &'static Key) {
        self.serialize(key, REDACTED);
    }

    /// Captures the return value by serde. A `()` does not count as a value.
    pub fn result<T: Capture + ?Sized>(&mut self, value: &T) {
        if std::any::type_name::<T>() != std::any::type_name::<()>() {
            self.serialize(const { &Key::new("result") }, value);
        } else if let Some(active) = &mut *self.active {
            active.fields.next(Next::Plain);
        }
    }

    /// Captures the error.
    pub fn error(&mut self, describe: &dyn Fn() -> ErrorText) {
        if let Some(active) = &mut *self.active {
            active.fields.field(active.recorder.rules(), "error", &mut |json| describe().serialize(json));
        }
    }

    /// Notes that the function has only made its future.
    ///
    /// The function counts as a call only once that future is polled.
    pub fn await_poll(&mut self) {
        if let Some(active) = &mut *self.active {
            active.unpolled = true;
        }
    }

    /// Notes that the body has made its future, which waits to be polled.
    pub fn suspend(&mut self) {
        self.suspended(true);
    }

    pub(super) fn suspended(&mut self, suspended: bool) {
        if let Some(active) = &mut *self.active {
            active.suspended = suspended;
        }
    }

    /// Notes that the future is polled.
    pub fn polled(&mut self) {
        if let Some(active) = &mut *self.active {
            active.unpolled = false;
        }
    }

    #[cold]
    fn dropped(&mut self) {
        if let Some(active) = self.active.take() {
            active.dropped();
        }
    }
}

type Panic = Box<dyn Any + Send>;

/// Decides whether a call is recorded. If the deciding expression panics, the call is recorded, and
/// this returns the panic.
#[inline]
fn wanted(when: impl FnOnce() -> bool) -> Option<Option<Panic>> {
    match catch_unwind(AssertUnwindSafe(when)) {
        Ok(false) => None,
        Ok(true) => Some(None),
        Err(panic) => Some(Some(panic)),
    }
}

#[inline(never)]
fn begin_if_installed(site: &'static Site) -> Option<Box<Active>> {
    let active = Ambient::with(|around| Active::begin(site, around));
    if active.is_none() {
        installed::warn_not_installed(site.function);
    }
    active
}

/// Begins a call that this recorder records.
#[inline(never)]
fn begin_by(site: &'static Site, recorder: &Arc<Recorder>) -> Box<Active> {
    Ambient::with(|around| Active::begin_by(RecorderRef::Scoped(recorder.clone()), site, around))
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        if self.active.is_some() {
            self.dropped();
        }
    }
}
