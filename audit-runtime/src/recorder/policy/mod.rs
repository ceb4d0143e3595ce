//! Which events are recorded, and how much of each: a file of rules decides.
//!
//! A call is decided about when its body begins, by its type, actor, tenant and correlation. The
//! decision holds until its end, whichever rules are read meanwhile. A call whose type or entity is
//! known only when it returns is decided about then.

mod about;
#[cfg(feature = "policy")]
mod file;
mod glob;
mod notes;
mod once_per;
#[cfg(feature = "policy")]
mod rehearsal;
mod rule;
mod rules;
mod sampling;

pub(crate) use about::About;
#[cfg(feature = "policy")]
pub use file::RulesError;
#[cfg(feature = "policy")]
pub(crate) use file::text_of;
#[cfg(feature = "policy")]
pub use glob::pattern_matches;
pub(crate) use notes::Notes;
pub(crate) use once_per::{Outstanding, Same};
#[cfg(feature = "policy")]
pub use rehearsal::Rehearsal;
pub use rule::{Level, Rule};
pub use rules::Rules;

use super::counters::Counters;
use super::rule_name::RuleName;
use crate::event::Outcome;
use once_per::OncePer;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

/// The rules in force, and what they have to remember.
#[derive(Debug)]
pub(crate) struct Policy {
    rules: RwLock<Arc<Rules>>,
    version: AtomicU64,
    once_per: OncePer,
}

/// The decision about one call, which holds until its end.
#[derive(Debug)]
pub(crate) struct Decision {
    rules: Arc<Rules>,
    /// The rule that is about the event of a success.
    rule: Option<usize>,
    is_left_out: bool,
    /// The calls of which one is recorded in a period.
    same: Option<Arc<Same>>,
}

/// How a decision ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    LeftOut,
    Recorded(Notes),
}

impl Policy {
    pub(crate) fn new(rules: Rules, counters: &Counters) -> Self {
        Self {
            rules: RwLock::new(Arc::new(counted(rules, counters))),
            version: AtomicU64::new(next_version()),
            once_per: OncePer::default(),
        }
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a number that no other policy has had, and this one not before its rules changed.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Puts other rules in force, and returns the counts of rules that are gone.
    pub(crate) fn replace(&self, rules: Rules, counters: &Counters) -> Vec<Outstanding> {
        let rules = Arc::new(counted(rules, counters));
        let before = std::mem::replace(&mut *self.rules.write().unwrap_or_else(PoisonError::into_inner), rules.clone());
        // Behind the rules: what is remembered by this number was learnt from them.
        self.version.store(next_version(), Ordering::Release);
        let is_gone = |rule: &&Rule| rule.once_per.is_some() && !rules.iter().any(|other| other.is_same(rule));
        before.iter().filter(is_gone).flat_map(|rule| self.once_per.remove(rule.name)).collect()
    }

    /// Takes the counts that no call will report any more. From now on, nothing is left out once
    /// per period.
    pub(crate) fn close(&self) -> Vec<Outstanding> {
        self.once_per.close()
    }

    /// Decides about a call or an event, and returns the counts that this pushed out of the table.
    ///
    /// Where `may_leave_out` is false, it is recorded, and the decision is about how much of it.
    pub(crate) fn decide(
        &self,
        rules: Arc<Rules>,
        about: &About<'_>,
        may_leave_out: bool,
    ) -> (Decision, Vec<Outstanding>) {
        let mut decision = Decision { rule: rules.first(about), rules, is_left_out: false, same: None };
        let Some(rule) = decision.rule().filter(|_| may_leave_out) else {
            return (decision, Vec::new());
        };
        let mut outstanding = Vec::new();
        if rule.level == Level::None || rule.sample.is_some_and(|share| !sampling::is_kept(about.correlation, share)) {
            decision.is_left_out = true;
        } else if let Some(period) = &rule.once_per {
            let same = Arc::new(Same::new(rule.name, about));
            let (is_due, evicted) = self.once_per.claim(&same, period.length, Instant::now());
            (decision.is_left_out, decision.same) = (!is_due, Some(same));
            outstanding = evicted;
        }
        (decision, outstanding)
    }

    /// Returns whether an event is recorded, and the note about it. `about` is the event as it
    /// ended: of a failure, it has another type.
    pub(crate) fn settle(&self, decision: &Decision, about: &About<'_>) -> Settled {
        let is_failure = !matches!(about.outcome, Outcome::Ok | Outcome::Started);
        if decision.is_left_out && !is_failure && self.leave_out(decision) {
            return Settled::LeftOut;
        }
        let rule = decision.rules.first(about).and_then(|place| decision.rules.rules.get(place));
        let reported = decision.same.as_ref().filter(|_| about.outcome != Outcome::Started);
        Settled::Recorded(Notes {
            metadata_only: rule.filter(|rule| rule.level == Level::Metadata).map(|rule| rule.name),
            left_out: reported.map_or(0, |same| self.once_per.take(same)),
            cause_left_out: None,
        })
    }

    /// Counts an event that is left out. Returns false if nobody would report it any more.
    fn leave_out(&self, decision: &Decision) -> bool {
        if decision.same.as_ref().is_some_and(|same| !self.once_per.count(same)) {
            return false;
        }
        if let Some(rule) = decision.rule() {
            rule.left_out.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Takes back what a decision claimed for a call that is not recorded after all.
    pub(crate) fn take_back(&self, decision: &Decision, left_out: u64) {
        if let Some(same) = decision.same.as_ref().filter(|_| !decision.is_left_out || left_out > 0) {
            self.once_per.put_back(same, left_out);
        }
    }
}

impl Decision {
    fn rule(&self) -> Option<&Rule> {
        self.rules.rules.get(self.rule?)
    }

    /// Returns the rule by which a success is not recorded.
    pub(crate) fn left_out_by(&self) -> Option<RuleName> {
        self.rule().filter(|_| self.is_left_out).map(|rule| rule.name)
    }
}

impl Rules {
    /// Returns whether a rule may be about events of one of these types.
    pub(crate) fn names_any(&self, types: &[&str]) -> bool {
        types.iter().any(|event_type| self.names(event_type))
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

/// Returns the rules with the trail's counters of what they leave out.
fn counted(mut rules: Rules, counters: &Counters) -> Rules {
    for rule in &mut rules.rules {
        rule.left_out = counters.of_rule(rule.name.as_str());
    }
    rules
}

fn next_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
