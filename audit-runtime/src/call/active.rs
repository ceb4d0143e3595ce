//! A call that is under way, and is recorded.

use super::changes::Changes;
use super::metadata::{EventMetadata, Subject};
use super::recorder_ref::RecorderRef;
use super::site::Site;
use super::thinning::{self, Ended, Thinning};
use crate::capture::json::JsonWriter;
use crate::capture::{Fields, Key};
use crate::context::{self, Ambient, CallFrame};
use crate::event::Outcome;
use crate::event::clock::Moment;
use crate::event::ids;
use crate::record::{Trace, payload};
use crate::recorder::installed::installed;
use crate::recorder::policy::Notes;
use crate::recorder::thread_cache::{self, ThreadCache};
use serde::Serialize;
use std::cell::RefCell;
use uuid::Uuid;

/// The state of a call that is recorded.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) recorder: RecorderRef,
    pub(super) fields: Fields,
    pub(super) changes: Changes,
    pub(super) metadata: EventMetadata,
    pub(super) intent: Intent,
    /// The policy's decision about it.
    pub(super) thinning: Thinning,
    /// The call around a synchronous body.
    pub(super) outside: Option<CallFrame>,
    /// Its future waits to be polled: if it is dropped now, the call did not panic itself.
    pub(super) suspended: bool,
    /// Its future was made and not polled yet, so it does not count as a call.
    pub(super) unpolled: bool,
    /// A caller's transaction may hold the call's row already.
    pub(super) in_doubt: bool,
    /// The call returned a value that counts as a failure.
    pub(super) fails: bool,
}

/// The event that a call is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    None,
    /// The intent will have this id.
    Planned(Uuid),
    /// The intent is in the journal.
    Recorded,
}

impl Active {
    #[inline]
    pub(super) fn begin(site: &'static Site, around: &Ambient) -> Option<Box<Self>> {
        let recorder = match &around.handle {
            Some(handle) => RecorderRef::Scoped(handle.recorder.clone()),
            None => RecorderRef::Installed(&installed()?.recorder),
        };
        Some(Self::begin_by(recorder, site, around))
    }

    #[inline]
    pub(super) fn begin_by(recorder: RecorderRef, site: &'static Site, around: &Ambient) -> Box<Self> {
        let beginning = Moment::now();
        let (intent, id) = if site.intent {
            let (intent, id) = ids::intent_ids(beginning.micros());
            (Intent::Planned(intent), id)
        } else {
            (Intent::None, ids::event_id(beginning.micros()))
        };
        let (trace, call) = (Trace::current(), context::current_call());
        let call = call.filter(|call| call.trail == recorder.address());
        let has_policy = recorder.policy().is_some();
        let mut active = Self::take();
        active.recorder = recorder;
        active.fields.restart(&active.recorder.settings.rules, payload::begin);
        active.changes.clear();
        active.metadata.id = id;
        active.metadata.beginning = beginning;
        active.metadata.site = site;
        active.metadata.entity_id = None;
        active.metadata.context = around.context.clone();
        active.metadata.correlation = context::correlation(call, around.context.as_deref(), trace).unwrap_or(id);
        active.metadata.causation = call.map(|call| call.id);
        active.metadata.cause_left_out = call.and_then(|call| call.left_out);
        active.metadata.trace = trace;
        active.metadata.is_personal = false;
        active.metadata.subject = Subject::Unknown;
        active.intent = intent;
        active.thinning.restart(has_policy);
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

    /// Decides by the policy whether the call is recorded, before its body runs.
    #[inline]
    pub(super) fn decide(&mut self) {
        if !self.thinning.is_unnamed() {
            thinning::begin(&self.recorder, &self.metadata, &mut self.thinning);
        }
    }

    pub(super) fn frame(&self) -> CallFrame {
        CallFrame {
            id: self.metadata.id,
            correlation: self.metadata.correlation,
            trail: self.recorder.address(),
            left_out: self.thinning.left_out_by(),
        }
    }

    /// Records how the call ended.
    pub(super) fn finish(self: Box<Self>, outcome: Outcome) {
        if self.thinning.is_unnamed() && self.metadata.cause_left_out.is_none() {
            self.append(outcome, None);
        } else {
            self.finish_by_policy(outcome);
        }
    }

    /// Records how the call ended, unless the policy leaves it out.
    #[inline(never)]
    fn finish_by_policy(mut self: Box<Self>, outcome: Outcome) {
        let Self { recorder, metadata, thinning, .. } = &mut *self;
        match thinning::end(recorder, metadata, thinning, outcome) {
            Ended::LeftOut => self.put_back(),
            Ended::Recorded(notes) => self.append(outcome, notes),
        }
    }

    #[inline(always)]
    fn append(mut self: Box<Self>, outcome: Outcome, notes: Option<Box<Notes>>) {
        let Self { recorder, fields, changes, metadata, .. } = &mut *self;
        let duration = metadata.beginning.elapsed_micros();
        changes.write(fields, recorder.rules(), &metadata.personal().changes);
        let buffer = fields.end();
        metadata.complete(recorder, buffer, metadata.id, outcome, Some(duration));
        if let Some(notes) = &notes {
            notes.write(buffer);
        }
        // A refusal is counted and warned of there. The call itself goes on.
        let recorded = recorder.append(buffer);
        if self.intent == Intent::Recorded && recorded.is_ok() {
            self.recorder.counters.intent_ended();
        }
        if recorded.is_err() {
            thinning::take_back(&self.recorder, &self.thinning, notes.map_or(0, |notes| notes.left_out));
        }
        self.put_back();
    }

    /// Records a call that neither returned nor was finished.
    ///
    /// Its own panic dropped it, or it was dropped while its future waited to be polled.
    /// (`thread::panicking` does not distinguish the two. Another call's panic drops this one too,
    /// and a call may be made while a thread unwinds.)
    pub(super) fn dropped(mut self: Box<Self>) {
        if self.unpolled {
            return self.not_recorded();
        }
        if self.in_doubt {
            // The row under its id may yet be committed.
            self.metadata.id = ids::event_id(self.metadata.beginning.micros());
        }
        let outcome = if self.suspended { Outcome::Cancelled } else { Outcome::Panicked };
        self.finish(outcome);
    }
}

thread_local! {
    /// The state of calls that are over, kept by each thread for its next calls.
    static CALLS: ThreadCache<Box<Active>> = const { RefCell::new(Vec::new()) };
}

impl Active {
    /// Takes the state of some call that is over.
    #[inline]
    fn take() -> Box<Self> {
        thread_cache::take(&CALLS, Self::new)
    }

    /// Ends a call that is not recorded after all.
    pub(super) fn not_recorded(self: Box<Self>) {
        if !self.thinning.is_unnamed() {
            thinning::take_back(&self.recorder, &self.thinning, 0);
        }
        self.put_back();
    }

    /// Keeps it for the next call, without what others may wait for to be dropped.
    #[inline]
    pub(super) fn put_back(mut self: Box<Self>) {
        self.recorder = RecorderRef::Released;
        self.metadata.clear();
        let bytes = self.fields.capacity();
        thread_cache::put(&CALLS, self, bytes);
    }

    #[cold]
    fn new() -> Box<Self> {
        Box::new(Self {
            recorder: RecorderRef::Released,
            fields: Fields::new(Vec::with_capacity(1024)),
            changes: Changes::default(),
            metadata: EventMetadata::empty(),
            intent: Intent::None,
            thinning: Thinning::Unnamed,
            outside: None,
            suspended: false,
            unpolled: false,
            in_doubt: false,
            fails: false,
        })
    }
}

macro_rules! scalars {
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

scalars! { text &str, unsigned u64, signed i64, float f64, bool bool, id &Uuid }
