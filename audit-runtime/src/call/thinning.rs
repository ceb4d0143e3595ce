//! The decision of a policy about a call: before its body runs, and once more if it fails.

use super::metadata::EventMetadata;
use super::recorder_ref::RecorderRef;
use crate::event::Outcome;
use crate::recorder::RuleName;
use crate::recorder::policy::{Decision, Notes, Settled};

/// The state of a policy's decision about a call.
#[derive(Debug)]
pub(super) enum Thinning {
    Undecided,
    /// It is recorded, by `required` or `tx`, and only how much of it is undecided.
    Always,
    /// Its type or entity are known only when it has returned.
    Late,
    /// No rule is about its types, or there is no policy.
    Unnamed,
    Decided(Box<Decision>),
}

/// How a call ends.
#[derive(Debug)]
pub(super) enum Ended {
    LeftOut,
    /// With a note, if there is something to note.
    Recorded(Option<Box<Notes>>),
}

impl Thinning {
    /// Begins another call.
    #[inline]
    pub(super) fn restart(&mut self, has_policy: bool) {
        if let Self::Decided(_) = self {
            self.forget();
        }
        let undecided = if has_policy { Self::Undecided } else { Self::Unnamed };
        // Nothing is left to be dropped, and so the compiler need not look for it.
        std::mem::forget(std::mem::replace(self, undecided));
    }

    /// Forgets what was decided about a call that is over.
    #[cold]
    pub(super) fn forget(&mut self) {
        *self = Self::Unnamed;
    }

    /// Returns whether nothing remains to be decided about the call.
    #[inline]
    pub(super) fn is_unnamed(&self) -> bool {
        matches!(self, Self::Unnamed)
    }

    /// Sets when the call is decided about, if there is a policy.
    pub(super) fn decide_otherwise(&mut self, when: Self) {
        if matches!(self, Self::Undecided) {
            *self = when;
        }
    }

    /// Returns the rule by which the call is not recorded, unless it fails.
    #[inline]
    pub(super) fn left_out_by(&self) -> Option<RuleName> {
        match self {
            Self::Decided(decision) => decision.left_out_by(),
            _ => None,
        }
    }
}

/// Decides about a call before its body runs, unless it has to return first.
#[inline]
pub(super) fn begin(recorder: &RecorderRef, metadata: &EventMetadata, thinning: &mut Thinning) {
    if matches!(thinning, Thinning::Undecided) {
        decide(recorder, metadata, thinning, true);
    }
}

/// Decides about a call that has to be decided about now, because its intent is to be recorded. One
/// whose type or entity is not known yet is recorded.
pub(super) fn begin_intent(recorder: &RecorderRef, metadata: &EventMetadata, thinning: &mut Thinning) {
    match thinning {
        Thinning::Undecided => decide(recorder, metadata, thinning, true),
        Thinning::Always | Thinning::Late => decide(recorder, metadata, thinning, false),
        _ => {}
    }
}

#[inline]
fn decide(recorder: &RecorderRef, metadata: &EventMetadata, thinning: &mut Thinning, may_leave_out: bool) {
    let Some(policy) = recorder.policy() else { return };
    // Read before the rules, which are then those of this version or newer ones.
    let version = policy.version();
    if metadata.has_types_of_site() && metadata.site.unnamed.is_known(version) {
        *thinning = Thinning::Unnamed;
        return;
    }
    *thinning = decided(recorder, metadata, version, may_leave_out);
}

#[inline(never)]
fn decided(recorder: &RecorderRef, metadata: &EventMetadata, version: u64, may_leave_out: bool) -> Thinning {
    let Some(policy) = recorder.policy() else { return Thinning::Unnamed };
    let rules = policy.rules();
    let [event, error_event] = metadata.event_types();
    if metadata.has_type() && !rules.names_any(&[&event, &error_event]) {
        if metadata.has_types_of_site() {
            metadata.site.unnamed.learn(version);
        }
        return Thinning::Unnamed;
    }
    let decision = metadata.about(recorder, Outcome::Ok, |about| recorder.decide(policy, rules, about, may_leave_out));
    Thinning::Decided(Box::new(decision))
}

/// Returns whether a call that ended like this is recorded, and the note about it.
#[inline(never)]
pub(super) fn end(
    recorder: &RecorderRef,
    metadata: &EventMetadata,
    thinning: &mut Thinning,
    outcome: Outcome,
) -> Ended {
    match thinning {
        Thinning::Undecided | Thinning::Late => decide(recorder, metadata, thinning, outcome == Outcome::Ok),
        Thinning::Always => decide(recorder, metadata, thinning, false),
        _ => {}
    }
    match thinning {
        Thinning::Decided(decision) => settled(recorder, metadata, decision, outcome),
        _ if metadata.cause_left_out.is_none() => Ended::Recorded(None),
        _ => noted(Notes { cause_left_out: metadata.cause_left_out, ..Notes::default() }),
    }
}

#[inline(never)]
fn settled(recorder: &RecorderRef, metadata: &EventMetadata, decision: &Decision, outcome: Outcome) -> Ended {
    let Some(policy) = recorder.policy() else { return Ended::Recorded(None) };
    match metadata.about(recorder, outcome, |about| policy.settle(decision, about)) {
        Settled::LeftOut => Ended::LeftOut,
        Settled::Recorded(notes) => noted(Notes { cause_left_out: metadata.cause_left_out, ..notes }),
    }
}

fn noted(notes: Notes) -> Ended {
    Ended::Recorded((!notes.is_empty()).then(|| Box::new(notes)))
}

/// Writes the note into the record of a call that is recorded in any case: its intent, or its row
/// in a caller's transaction.
pub(super) fn note(
    recorder: &RecorderRef,
    metadata: &EventMetadata,
    thinning: &mut Thinning,
    outcome: Outcome,
    record: &mut Vec<u8>,
) {
    if let Ended::Recorded(Some(notes)) = end(recorder, metadata, thinning, outcome) {
        notes.write(record);
    }
}

/// Takes back what was claimed for a call that is not recorded after all.
#[cold]
pub(super) fn take_back(recorder: &RecorderRef, thinning: &Thinning, left_out: u64) {
    if let (Some(policy), Thinning::Decided(decision)) = (recorder.policy(), thinning) {
        policy.take_back(decision, left_out);
    }
}
