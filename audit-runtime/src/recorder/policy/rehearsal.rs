//! Rules applied to events that are on record: how many of them the rules would have kept.

use super::about::About;
use super::once_per::{OncePer, Same};
use super::rule::Level;
use super::rules::Rules;
use super::sampling;
use crate::event::Outcome;
use crate::record::TrailEvent;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rules applied to events of a trail, in the order of their times.
///
/// It decides as a service does. From rows it cannot know which calls had `required` or `tx`, whose
/// events no rule leaves out, and which actors were personal when the rule looked at them.
#[derive(Debug)]
pub struct Rehearsal {
    rules: Rules,
    once_per: OncePer,
    begin: Instant,
    first: Option<i64>,
}

impl Rehearsal {
    /// Begins with these rules, and nothing recorded yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, once_per: OncePer::default(), begin: Instant::now(), first: None }
    }

    /// Returns the place of the rule that is about an event, and whether it would have kept the
    /// event. `None` stands for no rule.
    pub fn event(&mut self, event: &TrailEvent) -> Option<(usize, bool)> {
        let about = About {
            event_type: &event.event_type,
            entity_type: &event.entity_type,
            entity_id: event.entity_id.filter(|_| event.entity_key.is_none()),
            entity_key: event.entity_key.as_deref(),
            actor: &event.actor,
            is_personal_actor: false,
            tenant: event.tenant.as_deref(),
            correlation: event.correlation_id.unwrap_or(event.id),
            outcome: event.outcome,
        };
        let place = self.rules.first(&about)?;
        let rule = self.rules.rules.get(place)?;
        // An intent goes with its completion, which decides.
        if !matches!(event.outcome, Outcome::Ok | Outcome::Started) {
            return Some((place, true));
        }
        let is_kept = match (rule.level, rule.sample, &rule.once_per) {
            (Level::None, ..) => false,
            (_, Some(share), _) => sampling::is_kept(about.correlation, share),
            (.., Some(period)) => {
                let now = event.created_at.unix_micros().unwrap_or(0);
                let since = now.saturating_sub(*self.first.get_or_insert(now));
                let now = self.begin + Duration::from_micros(u64::try_from(since).unwrap_or(0));
                self.once_per.claim(&Arc::new(Same::new(rule.name, &about)), period.length, now).0
            }
            _ => true,
        };
        Some((place, is_kept))
    }
}
