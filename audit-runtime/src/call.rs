//! What the code that `#[audited]` expands to calls: one audited call from its beginning to its end.

mod about;
mod active;
mod body;
pub(crate) mod buffer;
mod changes;
mod ending;
mod guarantee;
mod handover;
mod kept;
mod pool;
#[cfg(feature = "axum")]
pub(crate) mod response;
mod returned;
mod transaction;
mod unseen;

pub use body::InCall;
pub use guarantee::{Refusal, Refused, refused, refused_by_type};
pub use handover::{Handed, Handover};
pub use returned::{
    ByCapture, ByFuture, ByName, ByOutcome, ByResult, BySerialize, ByTypeOutcome, Ended, EndsInError, Fails, Fallible,
    Never, NoError, NoErrorBeside, Returned, Shown, ends_in_error, fails, fallible, late_error, no_error,
    no_error_beside,
};
pub use transaction::RowConnection;

use crate::audit::{self, Audit};
use crate::bounds::{Capture, EventType};
use crate::capture::{self, Key, Next, Rules, Simple};
use crate::context::Around;
use crate::error::ErrorText;
use crate::event::{EntityId, IntoEntityId};
use crate::mask::{Mask, REDACTED};
use crate::payload::EncodedTexts;
use crate::personal::SUBJECT;
use active::{Active, Recorder};
use serde::Serialize;
use std::any::Any;
use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

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
    /// What its first call finds out for those that follow.
    pub texts: SiteTexts,
}

/// The texts that most events of a function have in common, as they stand in the journal.
#[derive(Debug, Default)]
pub struct SiteTexts(OnceLock<EncodedTexts>);

impl SiteTexts {
    /// They are not known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
}

/// One audited call. Dropped before it was finished, it records that the call panicked or was cancelled.
///
/// What is inlined into the annotated function is the look at whether anything is recorded, and no more.
#[derive(Debug)]
pub struct Call {
    /// One pointer: a call is moved around, into futures too. (Its drop is the call's: a second look whether there is something to drop
    /// was a quarter of what a call that is not recorded pays.)
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

    /// Begins a call, of which it captures what is known at its entry; it records nothing if no handle is in force.
    #[inline]
    #[must_use]
    pub fn begin(site: &'static Site, entry: impl FnOnce(&mut Self)) -> Self {
        if audit::never_records() {
            return Self::uninstalled(site);
        }
        Self::begun(begin_if_installed(site), site, entry)
    }

    /// Begins a call that this handle records.
    #[inline]
    #[must_use]
    pub fn begin_with(site: &'static Site, audit: &Audit, entry: impl FnOnce(&mut Self)) -> Self {
        Self::begun(Some(begin_with(site, audit)), site, entry)
    }

    /// Begins a call that is recorded only if this is true. A panic in it is data, and no panic of the call.
    #[inline]
    #[must_use]
    pub fn begin_when(site: &'static Site, when: impl FnOnce() -> bool, entry: impl FnOnce(&mut Self)) -> Self {
        if audit::never_records() {
            return Self::uninstalled(site);
        }
        match wanted(when) {
            Some(panic) => Self::begin(site, |call| call.enter(panic, entry)),
            None => Self::UNRECORDED,
        }
    }

    /// Begins a call that this handle records, if this is true.
    #[inline]
    #[must_use]
    pub fn begin_with_when(
        site: &'static Site,
        audit: &Audit,
        when: impl FnOnce() -> bool,
        entry: impl FnOnce(&mut Self),
    ) -> Self {
        match wanted(when) {
            Some(panic) => Self::begin_with(site, audit, |call| call.enter(panic, entry)),
            None => Self::UNRECORDED,
        }
    }

    /// What is captured is known here, and not where the call is made: this is no part of the annotated function, which is as small as
    /// it can be where nothing is recorded.
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

    /// Captures, if anything is recorded. A panic of the attribute's own expressions is data, and no panic of the call.
    #[inline]
    pub fn capture(&mut self, capture: impl FnOnce(&mut Self)) {
        if self.active.is_some()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| capture(self)))
        {
            self.capture_panicked(panic.as_ref());
        }
    }

    #[cold]
    fn capture_panicked(&mut self, panic: &(dyn Any + Send)) {
        self.serialize(const { &Key::new("$error") }, &format!("panicked: {}", capture::panic_message(panic)));
    }

    /// The call is not to be recorded after all.
    pub fn discard(&mut self) {
        if let Some(active) = self.active.take() {
            pool::give(active);
        }
    }

    /// The event type of a call that returns `Ok`.
    pub fn event(&mut self, event: impl EventType) {
        if let Some(active) = &mut *self.active {
            active.about.own().event = Some(known_event_type(event));
        }
    }

    /// The event type of a call that does not.
    pub fn error_event(&mut self, event: impl EventType) {
        if let Some(active) = &mut *self.active {
            active.about.own().error_event = Some(known_event_type(event));
        }
    }

    /// The type of the entity.
    pub fn entity(&mut self, entity: impl Into<Cow<'static, str>>) {
        if let Some(active) = &mut *self.active {
            active.about.own().entity = Some(entity.into());
        }
    }

    /// The id of the entity.
    pub fn entity_id<T: IntoEntityId>(&mut self, id: T) {
        if let Some(active) = &mut *self.active {
            match id.to_entity_id() {
                EntityId::None => active.about.entity_id = None,
                EntityId::Id(id) => active.about.entity_id = Some(id),
                EntityId::NotAnId(text) => active.fields.serialize(active.recorder.rules(), "$entity_id", &text),
            }
        }
    }

    /// Who does it.
    pub fn actor<T: Display + ?Sized>(&mut self, actor: &T) {
        if let Some(active) = &mut *self.active {
            active.about.own().actor = Some(capture::text(actor));
        }
    }

    /// Says whose data the personal values are.
    pub fn subject<T: Display + ?Sized>(&mut self, subject: &T) {
        if let Some(active) = &mut *self.active
            && active.recorder.keeps_personal()
        {
            let rules = Rules { limit: active.recorder.rules().limit, mask: Mask::NONE };
            active.fields.display(&rules, SUBJECT, subject);
            active.about.is_personal = true;
        }
    }

    /// The next value is personal.
    pub fn personal(&mut self) -> &mut Self {
        if let Some(active) = &mut *self.active {
            active.fields.next(if active.about.is_personal { Next::Personal } else { Next::Redacted });
        }
        self
    }

    /// Captures a value by serde.
    #[inline]
    pub fn serialize<T: Capture + ?Sized>(&mut self, key: &'static Key, value: &T) {
        let Some(active) = &mut *self.active else {
            return;
        };
        match Simple::of(value) {
            Some(Simple::Text(text)) => active.text(key, text),
            Some(Simple::Unsigned(number)) => active.unsigned(key, number),
            Some(Simple::Signed(number)) => active.signed(key, number),
            Some(Simple::Float(number)) => active.float(key, number),
            Some(Simple::Bool(value)) => active.bool(key, value),
            Some(Simple::Id(id)) => active.id(key, id),
            None => active.field(key.name(), &mut |json| value.serialize(json)),
        }
    }

    /// Captures a value by serde in which these keys are no secrets: ways as in `leg.token`, below the value itself.
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

    /// Captures a value whose type has parameters: the compiler proposes the trait that users know.
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

    /// Says that there was a value, and not which.
    pub fn redacted(&mut self, key: &'static Key) {
        self.serialize(key, REDACTED);
    }

    /// Captures the return value by serde; `()` is no value.
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

    /// The function has only made its future: it will not count as a call unless that is polled.
    pub fn await_poll(&mut self) {
        if let Some(active) = &mut *self.active {
            active.unpolled = true;
        }
    }

    /// The body has made its future, which waits to be polled.
    pub fn suspend(&mut self) {
        self.suspended(true);
    }

    pub(super) fn suspended(&mut self, suspended: bool) {
        if let Some(active) = &mut *self.active {
            active.suspended = suspended;
        }
    }

    /// The future is polled.
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

/// A late event type. Where assertions are on, one that is malformed is noticed: it is data, like any panic of a capture.
fn known_event_type(event: impl EventType) -> Cow<'static, str> {
    let event = event.into_event_type();
    debug_assert!(
        crate::event::is_event_type(&event),
        "{event:?} is no event type; give one of the form noun.verb in lower case, at most 128 bytes"
    );
    event
}

type Panic = Box<dyn Any + Send>;

/// Whether a call is to be recorded: if so, gives the panic of the expression that was to tell, for then it is.
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
    let active = Around::with(|around| Active::begin(site, around));
    if active.is_none() {
        audit::warn_not_installed(site.function);
    }
    active
}

#[inline(never)]
fn begin_with(site: &'static Site, audit: &Audit) -> Box<Active> {
    Around::with(|around| Active::begin_by(Recorder::Scoped(audit.core().clone()), site, around))
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        if self.active.is_some() {
            self.dropped();
        }
    }
}

/// Applies a late closure: fixes the type of its parameter, so that users need not write it.
pub fn late<V, R>(value: V, closure: impl FnOnce(V) -> R) -> R {
    closure(value)
}

/// Applies a late closure that tells whether something is so: a complaint about its value stands inside of the closure.
pub fn late_condition<V>(value: V, closure: impl FnOnce(V) -> bool) -> bool {
    closure(value)
}

/// Fails the compilation if a constant is not an event type.
///
/// # Panics
/// Never at run time: it is called in constants.
#[must_use]
pub const fn checked_event_type(text: &'static str) -> &'static str {
    assert!(
        crate::event::is_event_type(text),
        "this constant is not an event type; write `noun.verb` in lower case, as in \"order.submitted\", at most 128 bytes"
    );
    text
}
