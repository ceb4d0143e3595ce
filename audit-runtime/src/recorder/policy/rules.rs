//! The rules of a policy, in the order of the file.

use super::about::About;
use super::rule::Rule;

/// The rules of a policy, of which the first that is about an event decides.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub(super) rules: Vec<Rule>,
    /// The SHA-256 hash of the file, in hexadecimal digits.
    pub(super) digest: String,
}

impl Rules {
    /// Returns the rules in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.rules.iter()
    }

    /// Returns whether a rule may be about events of a type. The library's own are left alone.
    pub(super) fn names(&self, event_type: &str) -> bool {
        !event_type.starts_with("audit.") && self.rules.iter().any(|rule| rule.names(event_type))
    }

    /// Returns the place of the first rule that is about an event.
    pub(super) fn first(&self, about: &About<'_>) -> Option<usize> {
        if about.event_type.starts_with("audit.") {
            return None;
        }
        self.rules.iter().position(|rule| rule.is_about(about))
    }
}

impl<'a> IntoIterator for &'a Rules {
    type Item = &'a Rule;
    type IntoIter = std::slice::Iter<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
