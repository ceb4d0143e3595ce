//! Patterns of texts: `*` stands for any characters, and `?` for one.

use std::fmt;
#[cfg(feature = "policy")]
use wildmatch::WildMatch;

/// A pattern, compiled once.
#[derive(Clone)]
pub(super) struct Glob {
    text: String,
    /// The length of the text before the first wildcard, by which most texts are told apart.
    literal: usize,
    #[cfg(feature = "policy")]
    pattern: WildMatch,
}

impl Glob {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            literal: text.find(['*', '?']).unwrap_or(text.len()),
            #[cfg(feature = "policy")]
            pattern: WildMatch::new(text),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        if !text.starts_with(&self.text[..self.literal]) {
            return false;
        }
        #[cfg(feature = "policy")]
        return self.pattern.matches(text);
        #[cfg(not(feature = "policy"))]
        return self.literal == text.len();
    }
}

/// Returns whether a pattern of a policy's rule matches a whole text.
///
/// ```
/// use audit_runtime::policy::pattern_matches;
///
/// assert!(pattern_matches("order.*", "order.filled") && !pattern_matches("order.?", "order.filled"));
/// ```
#[cfg(feature = "policy")]
#[must_use]
pub fn pattern_matches(pattern: &str, text: &str) -> bool {
    Glob::new(pattern).matches(text)
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(all(test, feature = "policy"))]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_texts() {
        for (pattern, text, matches) in [
            ("order.submitted", "order.submitted", true),
            ("order.submitted", "order.submitted2", false),
            ("order.submitted", "order.submit", false),
            ("order.*", "order.filled", true),
            ("order.*", "orders.filled", false),
            ("*.viewed", "account.viewed", true),
            ("*.viewed", "account.viewed.again", false),
            ("user:?", "user:k", true),
            ("user:?", "user:kim", false),
            ("*", "", true),
            ("ä*", "äö", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), matches, "{pattern} {text}");
        }
    }
}
