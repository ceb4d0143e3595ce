//! The personal values of a call, and whose they are.

use super::Call;
use super::active::Active;
use super::metadata::Subject;
use crate::capture::mask::Mask;
use crate::capture::personal::{Marking, SUBJECT};
use crate::capture::{self, Next, Rules};
use std::fmt::Display;

impl Call {
    /// Sets the subject to whom the personal values belong.
    pub fn subject<T: Display + ?Sized>(&mut self, subject: &T) {
        if let Some(active) = &mut *self.active
            && active.recorder.keeps_personal()
        {
            let rules = Rules { limit: active.recorder.rules().limit, mask: Mask::NONE };
            active.fields.display(&rules, SUBJECT, subject);
            active.metadata.is_personal = true;
            active.metadata.subject = Subject::Known;
        }
    }

    /// Notes that the returned value will tell the subject.
    ///
    /// Where it does not, the personal values are left out.
    pub fn await_subject(&mut self) {
        if let Some(active) = &mut *self.active
            && active.recorder.keeps_personal()
        {
            active.metadata.await_subject();
        }
    }

    /// Sets the subject of one personal value.
    pub fn owner<T: Display + ?Sized>(&mut self, name: &'static str, subject: &T) {
        if let Some(active) = &mut *self.active
            && active.recorder.keeps_personal()
        {
            active.metadata.is_personal = true;
            active.metadata.overrides().personal.owners.push((name, capture::text(subject)));
        }
    }

    /// Marks the next value as personal.
    pub fn personal(&mut self) -> &mut Self {
        if let Some(active) = &mut *self.active {
            let is_unknown = active.metadata.subject == Subject::Unknown;
            active.fields.next(if is_unknown { Next::Redacted } else { Next::Personal });
        }
        self
    }

    /// Marks the next value as personal, and as that of the [`owner`](Self::owner) of this name.
    pub fn personal_of(&mut self, name: &'static str) -> &mut Self {
        if let Some(active) = &mut *self.active {
            match active.owned(name) {
                Marking::Of(subject) => active.fields.next_of(subject),
                _ => active.fields.next(Next::Redacted),
            }
        }
        self
    }

    /// Marks the actor as personal.
    pub fn personal_actor(&mut self, is_owned: bool) {
        if let Some(active) = &mut *self.active {
            let marking = active.marking("actor", is_owned);
            active.metadata.overrides().personal.actor = Some(marking);
        }
    }

    /// Marks the values of a change as personal.
    pub fn personal_change(&mut self, name: &'static str, is_owned: bool) {
        if let Some(active) = &mut *self.active {
            let marking = active.marking(name, is_owned);
            active.metadata.overrides().personal.changes.push((name, marking));
        }
    }
}

impl Active {
    fn marking(&self, name: &str, is_owned: bool) -> Marking {
        match self.metadata.subject {
            _ if is_owned => self.owned(name),
            Subject::Unknown => Marking::Redacted,
            Subject::Awaited | Subject::Known => Marking::OfEvent,
        }
    }

    fn owned(&self, name: &str) -> Marking {
        let owners = &self.metadata.personal().owners;
        let owner = owners.iter().find(|(owned, _)| *owned == name);
        owner.map_or(Marking::Redacted, |(_, subject)| Marking::Of(subject.clone()))
    }
}
