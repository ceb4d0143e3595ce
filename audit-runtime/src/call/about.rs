//! What the event of a call says beside its data.

use super::active::Recorder;
use super::{Site, SiteTexts};
use crate::clock::Moment;
use crate::context::Context;
use crate::core::Core;
use crate::event::Outcome;
use crate::payload::{self, EncodedTexts, Facts, Texts};
use crate::trace::Trace;
use std::borrow::Cow;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct About {
    pub(super) site: &'static Site,
    /// It says something in place of what its site says.
    has_own: bool,
    own: Own,
    pub(super) id: Uuid,
    pub(super) beginning: Moment,
    pub(super) entity_id: Option<Uuid>,
    pub(super) context: Option<Arc<Context>>,
    pub(super) correlation: Uuid,
    pub(super) causation: Option<Uuid>,
    pub(super) trace: Option<Trace>,
    /// Some of its values are personal, and whose they are is told.
    pub(super) is_personal: bool,
}

/// What a call says itself.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) event: Option<Cow<'static, str>>,
    pub(super) error_event: Option<Cow<'static, str>>,
    pub(super) entity: Option<Cow<'static, str>>,
    pub(super) actor: Option<String>,
}

impl About {
    /// What is known of no call yet.
    pub(super) fn nothing() -> Self {
        static NOWHERE: Site = Site {
            function: "",
            event: "",
            error_event: "",
            entity: "",
            actor: "",
            intent: false,
            texts: SiteTexts::new(),
        };
        Self {
            site: &NOWHERE,
            has_own: false,
            own: Own::default(),
            id: Uuid::nil(),
            beginning: Moment::now(),
            entity_id: None,
            context: None,
            correlation: Uuid::nil(),
            causation: None,
            trace: None,
            is_personal: false,
        }
    }

    /// What the call says itself, to be told.
    pub(super) fn own(&mut self) -> &mut Own {
        self.has_own = true;
        &mut self.own
    }

    /// Forgets what has to be dropped.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.context = None;
        if self.has_own {
            self.has_own = false;
            self.own = Own::default();
        }
    }

    fn entity(&self) -> &str {
        self.own.entity.as_deref().unwrap_or(self.site.entity)
    }

    /// The type of the event that says this outcome.
    fn event_type(&self, outcome: Outcome) -> Cow<'_, str> {
        let event = self.own.event.as_deref().unwrap_or(self.site.event);
        let error_event = self.own.error_event.as_deref().unwrap_or(self.site.error_event);
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
        recorder: &Recorder,
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
        match self.known_texts(recorder, outcome) {
            Some(texts) => payload::complete_with(buffer, facts, texts),
            None => self.texts(recorder, outcome, |texts| payload::complete(buffer, facts, texts)),
        }
    }

    /// The texts of a call that returned, says nothing of its own and has no context: those of all such calls of its function, as long
    /// as they are recorded by the handle that is installed for good.
    #[inline]
    fn known_texts(&self, recorder: &Recorder, outcome: Outcome) -> Option<&'static EncodedTexts> {
        let has_others = self.has_own || self.context.is_some() || self.trace.is_some() || outcome != Outcome::Ok;
        match recorder {
            Recorder::Installed(core) if !has_others => {
                Some(self.site.texts.0.get_or_init(|| self.texts(core, outcome, |texts| texts.into())))
            }
            _ => None,
        }
    }

    /// What this makes of the texts.
    #[inline(never)]
    fn texts<T>(&self, core: &Core, outcome: Outcome, make: impl FnOnce(Texts<'_>) -> T) -> T {
        let context = self.context.as_deref();
        let actor = match self.own.actor.as_deref().unwrap_or(self.site.actor) {
            "" => context.and_then(Context::actor_text).unwrap_or_else(|| core.actor()),
            actor => actor,
        };
        let attributes = Trace::beside(self.trace, context.map_or("", Context::attributes_json));
        make(Texts {
            event_type: &self.event_type(outcome),
            entity_type: self.entity(),
            actor,
            origin: core.origin(),
            context: &core.rules().settle(&attributes),
        })
    }
}
