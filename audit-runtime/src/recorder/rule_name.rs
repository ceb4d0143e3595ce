//! Names of rules, which a call that is not recorded hands to the events below it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The name of a rule: one pointer, because every call's frame has room for one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RuleName(&'static String);

impl RuleName {
    /// Returns the name, which is kept for the life of the process. Equal names are kept once.
    #[cfg_attr(not(feature = "policy"), allow(dead_code, reason = "there are no rules without the feature"))]
    pub(crate) fn new(name: &str) -> Self {
        static NAMES: Mutex<BTreeSet<&'static String>> = Mutex::new(BTreeSet::new());
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name.to_owned();
        if let Some(known) = names.get(&name) {
            return Self(known);
        }
        let kept: &'static String = Box::leak(Box::new(name));
        names.insert(kept);
        Self(kept)
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_kept_once() {
        let (first, second) = (RuleName::new("reads"), RuleName::new("reads"));
        assert!(std::ptr::eq(first.0, second.0));
        assert_ne!(first, RuleName::new("writes"));
        assert_eq!(size_of::<Option<RuleName>>(), size_of::<usize>());
    }
}
