//! The events that are recorded once per period, and how many were left out since.

use super::about::About;
use crate::recorder::rule_name::RuleName;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The most entries of the table. The one that was recorded longest ago gives way.
const MOST: usize = 50_000;

/// Calls that count as the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Same {
    pub(crate) rule: RuleName,
    pub(crate) event_type: String,
    pub(crate) entity_type: String,
    pub(crate) entity_id: Option<Uuid>,
    pub(crate) entity_key: Option<String>,
    pub(crate) actor: String,
    pub(crate) is_personal_actor: bool,
    pub(crate) tenant: Option<String>,
}

impl Same {
    pub(super) fn new(rule: RuleName, about: &About<'_>) -> Self {
        Self {
            rule,
            event_type: about.event_type.to_owned(),
            entity_type: about.entity_type.to_owned(),
            entity_id: about.entity_id,
            entity_key: about.entity_key.map(str::to_owned),
            actor: about.actor.to_owned(),
            is_personal_actor: about.is_personal_actor,
            tenant: about.tenant.map(str::to_owned),
        }
    }
}

/// How many of the same calls were left out, and not reported yet.
pub(crate) type Outstanding = (Arc<Same>, u64);

/// A bounded table of what was recorded when.
#[derive(Debug)]
pub(super) struct OncePer {
    table: Mutex<Table>,
    most: usize,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Arc<Same>, Entry>,
    /// The entries by their age.
    by_age: BTreeMap<u64, Arc<Same>>,
    next: u64,
    /// The counts were reported for the last time.
    is_closed: bool,
}

#[derive(Debug)]
struct Entry {
    /// `None` if nothing was recorded after all.
    recorded: Option<Instant>,
    left_out: u64,
    age: u64,
}

impl Default for OncePer {
    fn default() -> Self {
        Self::with_most(MOST)
    }
}

impl OncePer {
    fn with_most(most: usize) -> Self {
        Self { table: Mutex::default(), most }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a call is the one of its period, which it then is for all others, and the
    /// outstanding counts of entries that gave way to it.
    pub(super) fn claim(&self, same: &Arc<Same>, period: Duration, now: Instant) -> (bool, Vec<Outstanding>) {
        let mut table = self.table();
        if let Some(entry) = table.entries.get(same) {
            let is_due = entry.recorded.is_none_or(|recorded| now.saturating_duration_since(recorded) >= period);
            if is_due {
                table.renew(same, now);
            }
            return (is_due, Vec::new());
        }
        let mut outstanding = Vec::new();
        while table.entries.len() >= self.most {
            outstanding.extend(table.evict());
        }
        table.insert(same, Some(now), 0);
        (true, outstanding)
    }

    /// Counts a call that is left out. Returns false if nobody would report it any more.
    pub(super) fn count(&self, same: &Arc<Same>) -> bool {
        let mut table = self.table();
        if table.is_closed {
            return false;
        }
        table.add(same, 1);
        true
    }

    /// Takes the number of calls that were left out, to report it.
    pub(super) fn take(&self, same: &Arc<Same>) -> u64 {
        self.table().entries.get_mut(same).map_or(0, |entry| std::mem::take(&mut entry.left_out))
    }

    /// Puts back a number that could not be reported, of a call that was not recorded.
    pub(super) fn put_back(&self, same: &Arc<Same>, left_out: u64) {
        let mut table = self.table();
        table.add(same, left_out);
        if let Some(entry) = table.entries.get_mut(same) {
            entry.recorded = None;
        }
    }

    /// Takes the counts of a rule that is gone.
    pub(super) fn remove(&self, rule: RuleName) -> Vec<Outstanding> {
        self.table().remove(|same| same.rule == rule)
    }

    /// Takes all counts for the last time.
    pub(super) fn close(&self) -> Vec<Outstanding> {
        let mut table = self.table();
        table.is_closed = true;
        table.remove(|_| true)
    }
}

impl Table {
    fn insert(&mut self, same: &Arc<Same>, recorded: Option<Instant>, left_out: u64) {
        self.next += 1;
        self.by_age.insert(self.next, same.clone());
        self.entries.insert(same.clone(), Entry { recorded, left_out, age: self.next });
    }

    fn renew(&mut self, same: &Arc<Same>, now: Instant) {
        self.next += 1;
        if let Some(entry) = self.entries.get_mut(same) {
            entry.recorded = Some(now);
            let age = std::mem::replace(&mut entry.age, self.next);
            if let Some(same) = self.by_age.remove(&age) {
                self.by_age.insert(self.next, same);
            }
        }
    }

    fn add(&mut self, same: &Arc<Same>, left_out: u64) {
        match self.entries.get_mut(same) {
            Some(entry) => entry.left_out += left_out,
            // It gave way meanwhile. A call of it is recorded next, and reports this.
            None => self.insert(same, None, left_out),
        }
    }

    fn evict(&mut self) -> Option<Outstanding> {
        let (_, same) = self.by_age.pop_first()?;
        let entry = self.entries.remove(&same)?;
        (entry.left_out > 0).then_some((same, entry.left_out))
    }

    fn remove(&mut self, is_removed: impl Fn(&Same) -> bool) -> Vec<Outstanding> {
        let mut outstanding = Vec::new();
        self.by_age.retain(|_, same| {
            let is_removed = is_removed(same);
            if is_removed
                && let Some(entry) = self.entries.remove(same)
                && entry.left_out > 0
            {
                outstanding.push((same.clone(), entry.left_out));
            }
            !is_removed
        });
        outstanding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn same(actor: &str) -> Arc<Same> {
        Arc::new(Same {
            rule: RuleName::new("reads"),
            event_type: "account.viewed".into(),
            entity_type: "account".into(),
            entity_id: None,
            entity_key: Some("42".into()),
            actor: actor.into(),
            is_personal_actor: false,
            tenant: None,
        })
    }

    #[test]
    fn one_call_of_a_period_is_recorded_and_the_next_one_takes_the_count() {
        let (table, now) = (OncePer::default(), Instant::now());
        let claim = |actor, after| table.claim(&same(actor), HOUR, now + after).0;
        assert!(claim("kim", Duration::ZERO) && !claim("kim", Duration::ZERO) && claim("ann", Duration::ZERO));
        assert!(table.count(&same("kim")) && table.count(&same("kim")));
        assert!(!claim("kim", HOUR - Duration::from_nanos(1)) && claim("kim", HOUR) && !claim("kim", HOUR));
        assert_eq!((table.take(&same("kim")), table.take(&same("kim")), table.take(&same("ann"))), (2, 0, 0));
    }

    #[test]
    fn a_call_that_was_not_recorded_gives_back_its_place_and_its_count() {
        let (table, now) = (OncePer::default(), Instant::now());
        assert!(table.claim(&same("kim"), HOUR, now).0);
        table.put_back(&same("kim"), 3);
        assert!(table.claim(&same("kim"), HOUR, now).0 && !table.claim(&same("kim"), HOUR, now).0);
        assert_eq!(table.take(&same("kim")), 3);
    }

    #[test]
    fn the_oldest_entry_gives_way_with_its_count() {
        let (table, now) = (OncePer::with_most(2), Instant::now());
        let claim = |actor, after| table.claim(&same(actor), HOUR, now + after);
        for actor in ["kim", "ann"] {
            assert_eq!(claim(actor, Duration::ZERO), (true, vec![]));
            assert!(table.count(&same(actor)));
        }
        assert_eq!(claim("kim", HOUR), (true, vec![]));
        assert_eq!(claim("bob", HOUR), (true, vec![(same("ann"), 1)]));
        // Its call was under way.
        assert!(table.count(&same("ann")));
        let mut outstanding = table.close();
        outstanding.sort_by(|(one, _), (other, _)| one.actor.cmp(&other.actor));
        assert_eq!(outstanding, [(same("ann"), 1), (same("kim"), 1)]);
        assert!(!table.count(&same("kim")) && table.close().is_empty(), "nobody would report it");
    }

    #[test]
    fn a_rule_that_is_gone_takes_its_own_counts_alone() {
        let table = OncePer::default();
        let other = Arc::new(Same { rule: RuleName::new("writes"), ..(*same("kim")).clone() });
        assert!(table.count(&same("kim")) && table.count(&other));
        assert_eq!(table.remove(RuleName::new("reads")), [(same("kim"), 1)]);
        assert_eq!(table.close(), [(other, 1)]);
    }
}
