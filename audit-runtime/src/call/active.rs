//! A call that is under way, and is recorded.

use super::about::About;
use super::changes::Changes;
use super::{Site, pool};
use crate::audit::Audit;
use crate::capture::{Fields, Key};
use crate::clock::Moment;
use crate::context::{self, Around, Frame};
use crate::core::Core;
use crate::event::Outcome;
use crate::ids;
use crate::json::JsonWriter;
use crate::payload;
use crate::trace::Trace;
use serde::Serialize;
use std::num::NonZero;
use std::ptr::NonNull;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct Active {
    pub(super) recorder: Recorder,
    pub(super) fields: Fields,
    pub(super) changes: Changes,
    pub(super) about: About,
    pub(super) intent: Intent,
    /// The call around a synchronous body.
    pub(super) outside: Option<Frame>,
    /// Its future waits to be polled: if it is dropped now, that is no panic of its own.
    pub(super) suspended: bool,
    /// Nothing has happened yet.
    pub(super) unpolled: bool,
    /// A caller's transaction may hold the call's row already.
    pub(super) in_doubt: bool,
    /// It returned a value that counts as a failure.
    pub(super) fails: bool,
}

/// Who records a call. What is installed stays for good: to count its users would have all threads write to one place.
#[derive(Debug, Clone)]
pub(super) enum Recorder {
    Installed(&'static Core),
    Scoped(Arc<Core>),
    /// The call is over.
    Nobody,
}

impl Recorder {
    /// Returns what tells one trail from another, as long as it is recorded to.
    #[inline]
    fn address(&self) -> NonZero<usize> {
        NonNull::<Core>::from(&**self).addr()
    }
}

impl std::ops::Deref for Recorder {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        match self {
            Self::Installed(core) => core,
            Self::Scoped(core) => core,
            Self::Nobody => unreachable!("a call that is under way is recorded by somebody"),
        }
    }
}

/// The event that a call is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    None,
    /// It will have this id.
    Planned(Uuid),
    /// It is in the journal.
    Recorded,
}

impl Active {
    #[inline]
    pub(super) fn begin(site: &'static Site, around: &Around) -> Option<Box<Self>> {
        let recorder = match &around.audit {
            Some(audit) => Recorder::Scoped(audit.core().clone()),
            None => Recorder::Installed(Audit::installed()?.core()),
        };
        Some(Self::begin_by(recorder, site, around))
    }

    #[inline]
    pub(super) fn begin_by(recorder: Recorder, site: &'static Site, around: &Around) -> Box<Self> {
        let beginning = Moment::now();
        let (intent, id) = if site.intent {
            let (intent, id) = ids::intent_ids(beginning.micros());
            (Intent::Planned(intent), id)
        } else {
            (Intent::None, ids::event_id(beginning.micros()))
        };
        let (trace, call) = (Trace::current(), context::current_call());
        let call = call.filter(|call| call.trail == recorder.address());
        let mut active = pool::take();
        active.recorder = recorder;
        active.fields.restart(&active.recorder.settings.rules, payload::begin);
        active.changes.clear();
        active.about.id = id;
        active.about.beginning = beginning;
        active.about.site = site;
        active.about.entity_id = None;
        active.about.context = around.context.clone();
        active.about.correlation = context::correlation(call, around.context.as_deref(), trace).unwrap_or(id);
        active.about.causation = call.map(|call| call.id);
        active.about.trace = trace;
        active.about.is_personal = false;
        active.intent = intent;
        active.outside = None;
        active.suspended = false;
        active.unpolled = false;
        active.in_doubt = false;
        active.fails = false;
        active
    }

    pub(super) fn field(&mut self, name: &str, write: &mut dyn FnMut(&mut JsonWriter<'_>) -> serde_json::Result<()>) {
        self.fields.field(self.recorder.rules(), name, write);
    }

    #[cold]
    fn by_serde(&mut self, name: &str, value: &impl Serialize) {
        self.fields.serialize(self.recorder.rules(), name, value);
    }

    pub(super) fn frame(&self) -> Frame {
        Frame { id: self.about.id, correlation: self.about.correlation, trail: self.recorder.address() }
    }

    /// Records how the call ended.
    pub(super) fn finish(mut self: Box<Self>, outcome: Outcome) {
        let Self { recorder, fields, changes, about, .. } = &mut *self;
        let duration = about.beginning.elapsed_micros();
        changes.write(fields, recorder.rules());
        let buffer = fields.end();
        about.complete(recorder, buffer, about.id, outcome, Some(duration));
        // A refusal is counted and warned of there; the call itself goes on.
        let recorded = recorder.append(buffer);
        if self.intent == Intent::Recorded && recorded.is_ok() {
            self.recorder.counters.intent_ended();
        }
        pool::give(self);
    }

    /// The call neither returned nor was finished: it was dropped by its own panic, or while its future waited to be polled. (Whether
    /// the thread unwinds tells nothing: another call's panic drops this one too, and a call may be made while a thread unwinds.)
    pub(super) fn dropped(mut self: Box<Self>) {
        if self.unpolled {
            return pool::give(self);
        }
        if self.in_doubt {
            // The row under its id may yet be committed.
            self.about.id = ids::event_id(self.about.beginning.micros());
        }
        let outcome = if self.suspended { Outcome::Cancelled } else { Outcome::Panicked };
        self.finish(outcome);
    }
}

macro_rules! simple {
    ($($method:ident $value:ty),*) => {
        /// Values whose types are known here: expanded code brings none of its own for them.
        impl Active {
            $(
                pub(super) fn $method(&mut self, key: &Key, value: $value) {
                    if !self.fields.$method(key, value) {
                        self.by_serde(key.name(), &value);
                    }
                }
            )*
        }
    };
}

simple! { text &str, unsigned u64, signed i64, float f64, bool bool, id &Uuid }
