//! One rule of a policy.

use super::about::About;
use super::glob::Glob;
use crate::recorder::rule_name::RuleName;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// A rule of a policy: the events that it is about, and how they are recorded.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(super) name: RuleName,
    pub(super) event: Option<Glob>,
    pub(super) actor: Option<Glob>,
    pub(super) tenant: Option<Glob>,
    pub(super) level: Level,
    pub(super) sample: Option<f64>,
    pub(super) once_per: Option<Period>,
    /// How many events the rule has left out, in all processes' lives of rules of this name.
    pub(super) left_out: Arc<AtomicU64>,
}

/// How much of an event a rule records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Level {
    /// Nothing, except of failures and of calls with `required` or `tx`.
    None,
    /// All except arguments, result and error text.
    Metadata,
    /// All that the attribute captures.
    #[default]
    Full,
}

/// A period, and how the file writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) text: String,
    pub(super) length: Duration,
}

impl Rule {
    /// Returns the name, by which left out events are counted.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns the pattern of event types; `None` stands for all.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.event.as_ref().map(Glob::as_str)
    }

    /// Returns the pattern of actors; `None` stands for all.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_ref().map(Glob::as_str)
    }

    /// Returns the pattern of tenants; `None` stands for all, and for events without a tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_ref().map(Glob::as_str)
    }

    /// Returns how much of an event is recorded.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns the share of correlations whose events are recorded, from 0 to 1.
    #[must_use]
    pub fn sample(&self) -> Option<f64> {
        self.sample
    }

    /// Returns the period in which one event is recorded of each type, entity, actor and tenant.
    #[must_use]
    pub fn once_per(&self) -> Option<Duration> {
        self.once_per.as_ref().map(|period| period.length)
    }

    /// Returns whether the rule is about every event, so that no rule behind it is ever reached.
    #[must_use]
    pub fn is_about_all(&self) -> bool {
        [&self.event, &self.actor, &self.tenant].into_iter().enumerate().all(|(place, glob)| match glob {
            None => true,
            // An event without a tenant matches no pattern of tenants.
            Some(glob) => place < 2 && glob.as_str() == "*",
        })
    }

    /// Returns whether the rule may be about events of a type.
    pub(super) fn names(&self, event_type: &str) -> bool {
        self.event.as_ref().is_none_or(|event| event.matches(event_type))
    }

    /// Returns whether the rule is about an event.
    pub(super) fn is_about(&self, about: &About<'_>) -> bool {
        self.names(about.event_type)
            && self.actor.as_ref().is_none_or(|actor| actor.matches(about.actor))
            && self.tenant.as_ref().is_none_or(|glob| about.tenant.is_some_and(|tenant| glob.matches(tenant)))
    }

    /// Returns whether a rule says the same by the same name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let key = |rule: &Self| (rule.name, rule.level, rule.sample.map(f64::to_bits), rule.once_per.clone());
        key(self) == key(other)
            && (&self.event, &self.actor, &self.tenant) == (&other.event, &other.actor, &other.tenant)
    }
}

/// The rule in words: about which events it is, and how they are recorded.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "events")?;
        for (name, glob) in [("type", self.event()), ("actor", self.actor()), ("tenant", self.tenant())] {
            if let Some(glob) = glob {
                write!(f, " of {name} {glob}")?;
            }
        }
        f.write_str(match self.level {
            Level::None => ": not recorded",
            Level::Metadata => ": recorded without arguments, result and error text",
            Level::Full => ": recorded in full",
        })?;
        if let Some(share) = self.sample {
            write!(f, ", for a share of {share} of all correlations")?;
        }
        if let Some(Period { text, .. }) = &self.once_per {
            write!(f, ", once per {text} for each type, entity, actor and tenant")?;
        }
        Ok(())
    }
}
