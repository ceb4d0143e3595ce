//! Decides by a policy whether events are recorded, and reports how many were not.

use super::policy::{About, Decision, Notes, Outstanding, Policy, Rules, Same, Settled};
use super::rule_name::RuleName;
use super::{Inherited, Recorder};
use crate::capture::mask::REDACTED;
use crate::event::{EntityRef, reserved};
use crate::record::{Event, EventRef};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

impl Recorder {
    /// Returns the policy, unless all events are recorded.
    #[inline]
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// Decides about an event. Counts that this pushes out are recorded.
    pub(crate) fn decide(
        &self,
        policy: &Policy,
        rules: Arc<Rules>,
        about: &About<'_>,
        may_leave_out: bool,
    ) -> Decision {
        let (decision, outstanding) = policy.decide(rules, about, may_leave_out);
        self.record_thinned_out(&outstanding);
        decision
    }

    /// Decides about an encoded event that was made by hand, and writes the note about it. Returns
    /// what is to be taken back if the event is not appended, or `None` if it is left out.
    pub(super) fn thin_out(
        &self,
        record: &mut Vec<u8>,
        may_leave_out: bool,
        cause_left_out: Option<RuleName>,
    ) -> Option<TakenBack> {
        let Some(policy) = self.policy() else {
            return Some(TakenBack::default());
        };
        let mut json = Vec::new();
        let settled = match EventRef::decode(record, &mut json) {
            Ok(event) => {
                let rules = policy.rules();
                let about = About::from(&event);
                rules.names_any(&[event.event_type]).then(|| {
                    let decision = self.decide(policy, rules, &about, may_leave_out);
                    (policy.settle(&decision, &about), decision)
                })
            }
            Err(_) => None,
        };
        let (notes, decision) = match settled {
            None => (Notes::default(), None),
            Some((Settled::LeftOut, _)) => return None,
            Some((Settled::Recorded(notes), decision)) => (notes, Some(decision)),
        };
        Notes { cause_left_out, ..notes }.write(record);
        Some(TakenBack(decision.map(|decision| (decision, notes.left_out))))
    }

    /// Takes back what was claimed for an event that was not appended.
    #[cold]
    pub(super) fn not_thinned_out(&self, taken: &TakenBack) {
        if let (Some(policy), Some((decision, left_out))) = (self.policy(), &taken.0) {
            policy.take_back(decision, *left_out);
        }
    }

    /// Records the counts that no call will report any more: the trail ends.
    pub(crate) fn record_outstanding(&self) {
        let Some(policy) = self.policy().filter(|_| !self.journal.is_forked()) else { return };
        let mut unreported = 0;
        for (same, count) in policy.close() {
            self.counters.appending();
            // A trail that ends waits for no room.
            if !self.journal.append_if_room(&self.own(&thinned_out(&same, count))) {
                self.counters.not_appended();
                unreported += count;
            }
        }
        if unreported > 0 {
            tracing::warn!(
                unreported,
                "the journal has no room to report the calls that the audit policy left out; they were counted by rule until now"
            );
        }
    }

    /// Puts other rules in force, and records that.
    #[cfg_attr(not(feature = "policy"), allow(dead_code, reason = "there are no rules without the feature"))]
    pub(crate) fn change_rules(&self, policy: &Policy, path: &Path, rules: Rules) {
        let outstanding = policy.replace(rules, &self.counters);
        self.record_thinned_out(&outstanding);
        self.record_rules(policy, path, "change");
    }

    /// Records which rules are in force, and why now.
    #[cfg_attr(not(feature = "policy"), allow(dead_code, reason = "there are no rules without the feature"))]
    pub(crate) fn record_rules(&self, policy: &Policy, path: &Path, reason: &str) {
        let rules = policy.rules();
        let shown: Vec<_> = rules
            .iter()
            .map(|rule| json!({"event": rule.event().unwrap_or("*"), "rule": format!("{}: {rule}", rule.name())}))
            .collect();
        let data = json!({
            "file": path.display().to_string(),
            "reason": reason,
            "rules": shown,
            "sha256": rules.digest(),
        });
        self.record_own(&Event::new(reserved::POLICY_CHANGED).actor("audit").data(&data));
    }

    fn record_thinned_out(&self, outstanding: &[Outstanding]) {
        for (same, count) in outstanding {
            self.record_own(&thinned_out(same, *count));
        }
    }

    /// Records an event of the library's own. A refusal is counted and warned of.
    fn record_own(&self, event: &Event) {
        let _ = self.append(&self.own(event));
    }

    fn own(&self, event: &Event) -> Vec<u8> {
        let mut buffer = Vec::new();
        self.encode(&mut buffer, &Inherited::nothing(), event);
        buffer
    }
}

/// The claims that are taken back if an event is not appended.
#[derive(Debug, Default)]
pub(super) struct TakenBack(Option<(Decision, u64)>);

/// The event that reports how many of the same calls were left out.
fn thinned_out(same: &Same, count: u64) -> Event {
    let actor = if same.is_personal_actor { REDACTED } else { &same.actor };
    let data = json!({"rule": same.rule.as_str(), "event_type": same.event_type, "actor": actor, "count": count});
    let mut event = Event::new(reserved::THINNED_OUT).actor("audit").data(&data);
    event.entity_type = same.entity_type.clone().into();
    event.entity_id = match &same.entity_key {
        Some(key) => event.further.set_entity(EntityRef::Text(key)),
        None => same.entity_id,
    };
    if let Some(tenant) = &same.tenant {
        event.further.set_tenant(EntityRef::Text(tenant));
    }
    event
}
