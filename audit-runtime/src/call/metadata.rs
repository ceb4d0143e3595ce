//! The columns of a call's event beside its data.

use super::recorder_ref::RecorderRef;
use super::site::Site;
use crate::capture::personal::Marking;
use crate::context::Context;
use crate::event::clock::Moment;
use crate::event::{EntityRef, IntoTargets, Outcome};
use crate::record::payload::{self, EncodedTexts, Facts, FurtherRef, TARGETS_NOTE, Texts};
use crate::record::{EventRef, Further, Trace};
use crate::recorder::policy::About;
use crate::recorder::{Recorder, RuleName};
use std::borrow::Cow;
use std::sync::Arc;
use uuid::Uuid;

/// The columns of an event beside its data, and the site that they come from.
#[derive(Debug)]
pub(super) struct EventMetadata {
    pub(super) site: &'static Site,
    /// The parts beside the texts of its site: [`OVERRIDES`], [`FURTHER`].
    others: u8,
    overrides: Overrides,
    /// Its key, its tenant, further entities. A key counts only while there is no id.
    further: Further,
    pub(super) id: Uuid,
    pub(super) beginning: Moment,
    pub(super) entity_id: Option<Uuid>,
    pub(super) context: Option<Arc<Context>>,
    pub(super) correlation: Uuid,
    pub(super) causation: Option<Uuid>,
    /// The rule by which the cause is not recorded.
    pub(super) cause_left_out: Option<RuleName>,
    pub(super) trace: Option<Trace>,
    /// Some of its values are marked as personal.
    pub(super) is_personal: bool,
    pub(super) subject: Subject,
}

/// The subject of a call's personal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// There is none, or values cannot be encrypted.
    Unknown,
    /// The value that the call returns will tell.
    Awaited,
    Known,
}

/// Some of the overrides are set.
const OVERRIDES: u8 = 1;
/// There is something in [`EventMetadata::further`].
const FURTHER: u8 = 2;
/// The subject is awaited.
const UNOWNED: u8 = 4;

/// Texts that a call sets in place of those of its site.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub(super) event: Option<Cow<'static, str>>,
    pub(super) error_event: Option<Cow<'static, str>>,
    pub(super) entity: Option<Cow<'static, str>>,
    pub(super) actor: Option<String>,
    pub(super) personal: PersonalParts,
}

/// The values of a call that are personal in other places than its data, or of another subject.
#[derive(Debug, Default)]
pub(super) struct PersonalParts {
    /// The subjects of single names.
    pub(super) owners: Vec<(&'static str, String)>,
    pub(super) actor: Option<Marking>,
    pub(super) changes: Vec<(&'static str, Marking)>,
}

impl EventMetadata {
    /// Returns the metadata of no call.
    pub(super) fn empty() -> Self {
        static NOWHERE: Site = Site::new("", [""; 4], false, "");
        Self {
            site: &NOWHERE,
            others: 0,
            overrides: Overrides::default(),
            further: Further::default(),
            id: Uuid::nil(),
            beginning: Moment::now(),
            entity_id: None,
            context: None,
            correlation: Uuid::nil(),
            causation: None,
            cause_left_out: None,
            trace: None,
            is_personal: false,
            subject: Subject::Unknown,
        }
    }

    /// Returns the call's own texts, to be set.
    pub(super) fn overrides(&mut self) -> &mut Overrides {
        self.others |= OVERRIDES;
        &mut self.overrides
    }

    /// Returns what is personal outside of the data, or of another subject.
    #[inline]
    pub(super) fn personal(&self) -> &PersonalParts {
        &self.overrides.personal
    }

    /// Marks values as those of a subject that the returned value will tell.
    pub(super) fn await_subject(&mut self) {
        self.others |= UNOWNED;
        self.is_personal = true;
        self.subject = Subject::Awaited;
    }

    /// Sets the entity's id or key.
    #[inline]
    pub(super) fn entity_id(&mut self, entity: EntityRef<'_>) {
        match entity {
            EntityRef::Id(id) => self.entity_id = Some(id),
            entity => self.entity_key(entity),
        }
    }

    #[inline(never)]
    fn entity_key(&mut self, entity: EntityRef<'_>) {
        self.entity_id = self.further.set_entity(entity);
        if self.further.has_key() {
            self.others |= FURTHER;
        }
    }

    /// Sets the tenant.
    #[inline(never)]
    pub(super) fn tenant(&mut self, tenant: EntityRef<'_>) {
        self.others |= FURTHER;
        self.further.set_tenant(tenant);
    }

    /// Adds further entities.
    pub(super) fn targets<T: IntoTargets + ?Sized>(&mut self, kind: &str, targets: &T) {
        self.others |= FURTHER;
        targets.each_entity(&mut |entity| self.further.push(kind, entity));
    }

    /// Forgets what has to be dropped.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.context = None;
        if self.others != 0 {
            self.others = 0;
            self.overrides = Overrides::default();
            self.further.clear();
        }
    }

    fn entity(&self) -> &str {
        self.overrides.entity.as_deref().unwrap_or(self.site.entity)
    }

    /// Returns the type of the event of this outcome.
    fn event_type(&self, outcome: Outcome) -> Cow<'_, str> {
        let event = self.overrides.event.as_deref().unwrap_or(self.site.event);
        let error_event = self.overrides.error_event.as_deref().unwrap_or(self.site.error_event);
        let (first, second) = match outcome {
            Outcome::Ok => (event, error_event),
            Outcome::Started => (event, ""),
            _ => (error_event, event),
        };
        match (first, second) {
            // A late event type is not known of a call that did not return.
            ("", "") => Cow::Owned(format!("{}.{outcome}", self.entity())),
            ("", second) => Cow::Borrowed(second),
            (first, _) => Cow::Borrowed(first),
        }
    }

    /// Completes a buffer that holds the call's data.
    #[inline(always)]
    pub(super) fn complete(
        &self,
        recorder: &RecorderRef,
        buffer: &mut Vec<u8>,
        id: Uuid,
        outcome: Outcome,
        duration: Option<i64>,
    ) {
        let facts = Facts {
            id,
            entity_id: self.entity_id,
            created_at: self.beginning.micros(),
            outcome,
            duration,
            correlation_id: Some(self.correlation),
            causation_id: self.causation,
            is_personal: self.is_personal,
        };
        match self.known_texts(recorder, outcome, self.others) {
            Some(texts) => payload::complete_with(buffer, facts, texts),
            None => self.complete_with_others(recorder, buffer, facts),
        }
    }

    /// [`complete`](Self::complete) for a call that says more than its site does.
    #[inline(never)]
    fn complete_with_others(&self, recorder: &RecorderRef, buffer: &mut Vec<u8>, mut facts: Facts) {
        facts.is_personal |= self.context.as_deref().is_some_and(Context::is_personal) && recorder.keeps_personal();
        if let Some(count) = self.further.overflow() {
            note_targets(buffer, count);
        }
        match self.known_texts(recorder, facts.outcome, self.others & OVERRIDES) {
            Some(texts) => payload::complete_with(buffer, facts, texts),
            None => self.texts(recorder, facts.outcome, |texts| payload::complete(buffer, facts, texts)),
        }
        let tenant = self.context.as_deref().and_then(Context::tenant_name);
        if self.others & FURTHER != 0 || tenant.is_some() {
            let further = self.further.borrowed(tenant);
            let entity_key = further.entity_key.filter(|_| self.entity_id.is_none());
            payload::add_further(buffer, &FurtherRef { entity_key, ..further });
        }
        if self.subject == Subject::Awaited {
            leave_out_unowned(buffer);
        }
    }

    /// The texts of a call that returned, with no texts of its own and no context. All such calls
    /// of its function share them, as long as the permanently installed handle records them.
    #[inline]
    fn known_texts(&self, recorder: &RecorderRef, outcome: Outcome, others: u8) -> Option<&'static EncodedTexts> {
        let has_others = others != 0 || self.context.is_some() || self.trace.is_some() || outcome != Outcome::Ok;
        match recorder {
            RecorderRef::Installed(recorder) if !has_others => {
                Some(self.site.texts.0.get_or_init(|| self.texts(recorder, outcome, |texts| texts.into())))
            }
            _ => None,
        }
    }

    fn actor<'a>(&'a self, recorder: &'a Recorder) -> &'a str {
        match self.overrides.actor.as_deref().unwrap_or(self.site.actor) {
            "" => self.context.as_deref().and_then(Context::actor_name).unwrap_or_else(|| recorder.actor()),
            actor => actor,
        }
    }

    /// Returns the types of the event of a success, and of a failure.
    pub(super) fn event_types(&self) -> [Cow<'_, str>; 2] {
        [self.event_type(Outcome::Ok), self.event_type(Outcome::Error)]
    }

    /// Returns whether the type of a success is known.
    pub(super) fn has_type(&self) -> bool {
        self.overrides.event.is_some() || !self.site.event.is_empty()
    }

    /// Returns whether the event types are those of the site.
    pub(super) fn has_types_of_site(&self) -> bool {
        self.overrides.event.is_none() && self.overrides.error_event.is_none() && !self.site.event.is_empty()
    }

    /// Hands the facts by which a policy decides to `look`.
    pub(super) fn about<T>(&self, recorder: &Recorder, outcome: Outcome, look: impl FnOnce(&About<'_>) -> T) -> T {
        let further = self.further.borrowed(self.context.as_deref().and_then(Context::tenant_name));
        look(&About {
            event_type: &self.event_type(outcome),
            entity_type: self.entity(),
            entity_id: self.entity_id,
            entity_key: further.entity_key.filter(|_| self.entity_id.is_none()),
            actor: self.actor(recorder),
            is_personal_actor: self.overrides.personal.actor.is_some(),
            tenant: further.tenant,
            correlation: self.correlation,
            outcome,
        })
    }

    /// Hands the texts to `make`.
    #[inline(never)]
    fn texts<T>(&self, recorder: &Recorder, outcome: Outcome, make: impl FnOnce(Texts<'_>) -> T) -> T {
        let context = self.context.as_deref();
        let actor = self.actor(recorder);
        let actor = match &self.overrides.personal.actor {
            Some(marking) => Cow::Owned(marking.mark_actor(actor)),
            None => Cow::Borrowed(actor),
        };
        let json = context.map(|context| context.attributes_kept(recorder.settings.keeps_personal));
        let attributes = Trace::beside(self.trace, json.as_deref().unwrap_or_default());
        make(Texts {
            event_type: &self.event_type(outcome),
            entity_type: self.entity(),
            actor: &actor,
            origin: recorder.origin(),
            context: &recorder.rules().apply_limits(&attributes),
        })
    }
}

/// Adds the number of further entities to data that are complete, where some were left out.
#[cold]
fn note_targets(data: &mut Vec<u8>, count: usize) {
    if data.pop() == Some(b'}') {
        let comma = if data.last() == Some(&b'{') { "" } else { "," };
        data.extend_from_slice(format!("{comma}\"{TARGETS_NOTE}\":{count}}}").as_bytes());
    }
}

/// Leaves out the personal values of a record whose subject stayed unknown: of an intent, a call that
/// failed, or one that did not return.
#[cold]
fn leave_out_unowned(record: &mut Vec<u8>) {
    let (mut json, mut bytes) = (Vec::new(), Vec::new());
    if let Ok(event) = EventRef::decode(record, &mut json) {
        event.encode_without_unowned(&mut bytes);
        *record = bytes;
    }
}
