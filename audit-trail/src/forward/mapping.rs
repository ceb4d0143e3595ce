//! A file that states which OCSF class, activity and severity event types have.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use wildmatch::WildMatch;

/// Which OCSF class, activity and severity event types have: the first rule that matches.
///
/// ```toml
/// [[rule]]
/// event = "session.*"
/// class = 3002        # Authentication
/// activity = 1        # Logon
/// severity = 1        # 0 unknown, 1 informational, 2 low, 3 medium, 4 high, 5 critical, 6 fatal
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    event: String,
    class: Option<u32>,
    activity: Option<u32>,
    severity: Option<u32>,
}

/// The reason a mapping cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the mapping {path} cannot be used: {why}")]
pub struct MappingError {
    path: PathBuf,
    why: String,
}

/// A class of OCSF, and which attributes of ours it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OcsfClass {
    pub(super) uid: u32,
    pub(super) has_actor: bool,
    pub(super) has_endpoint: bool,
    pub(super) has_resources: bool,
    pub(super) has_trace: bool,
}

impl OcsfClass {
    /// API Activity.
    pub(super) const API: Self =
        Self { uid: 6_003, has_actor: true, has_endpoint: true, has_resources: true, has_trace: true };
    /// Event Log Activity.
    pub(super) const EVENT_LOG: Self =
        Self { uid: 1_008, has_actor: true, has_endpoint: true, has_resources: false, has_trace: false };
    const ALL: [Self; 6] = [
        Self::EVENT_LOG,
        // Account Change.
        Self { uid: 3_001, has_actor: true, has_endpoint: true, has_resources: false, has_trace: false },
        // Authentication.
        Self { uid: 3_002, has_actor: true, has_endpoint: true, has_resources: false, has_trace: false },
        // Entity Management.
        Self { uid: 3_004, has_actor: true, has_endpoint: true, has_resources: false, has_trace: false },
        // Application Lifecycle.
        Self { uid: 6_002, has_actor: false, has_endpoint: false, has_resources: false, has_trace: false },
        Self::API,
    ];
}

/// The class, activity and severity that a mapping gives an event type.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mapped {
    pub(super) class: Option<OcsfClass>,
    pub(super) activity: Option<u32>,
    pub(super) severity: Option<u32>,
}

impl Mapping {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or names a class, an activity or a severity that OCSF lacks or
    /// this program cannot fill.
    pub fn read(path: &Path) -> Result<Self, MappingError> {
        let failed = |why: String| MappingError { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let mapping: Self = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
        mapping.check().map_err(failed)?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), String> {
        for (number, rule) in (1..).zip(&self.rules) {
            let which = format!("rule {number}, {:?}", rule.event);
            if let Some(class) = rule.class
                && !OcsfClass::ALL.iter().any(|known| known.uid == class)
            {
                let known: Vec<String> = OcsfClass::ALL.iter().map(|class| class.uid.to_string()).collect();
                return Err(format!("{which}: events cannot be of class {class}; classes are {}", known.join(", ")));
            }
            if rule.activity.is_some_and(|activity| activity > 99) {
                return Err(format!("{which}: an activity is a number from 0 to 99, and 99 is Other"));
            }
            if rule.severity.is_some_and(|severity| severity > 6 && severity != 99) {
                return Err(format!("{which}: a severity is a number from 0 (unknown) to 6 (fatal), or 99 (other)"));
            }
        }
        Ok(())
    }

    pub(super) fn of(&self, event_type: &str) -> Mapped {
        let rule = self.rules.iter().find(|rule| WildMatch::new(&rule.event).matches(event_type));
        rule.map_or_else(Mapped::default, |rule| Mapped {
            class: rule.class.and_then(|uid| OcsfClass::ALL.into_iter().find(|class| class.uid == uid)),
            activity: rule.activity,
            severity: rule.severity,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_is_in_force() {
        let text = "[[rule]]\nevent = \"session.opened\"\nclass = 3002\nactivity = 1\n[[rule]]\nevent = \"session.*\"\nseverity = 4\n";
        let mapping: Mapping = toml::from_str(text).unwrap();
        assert_eq!(mapping.of("session.opened").class.map(|class| class.uid), Some(3_002));
        assert_eq!(mapping.of("session.closed").severity, Some(4));
        assert_eq!(mapping.of("order.made").severity, None);
    }

    #[test]
    fn a_rule_that_cannot_be_followed_is_refused_by_its_number() {
        for (text, part) in [
            (
                "[[rule]]\nevent = \"a\"\nclass = 6001",
                "rule 1, \"a\": events cannot be of class 6001; classes are 1008, 3001",
            ),
            ("[[rule]]\nevent = \"a\"\nseverity = 7", "a severity is a number from 0"),
            ("[[rule]]\nevent = \"a\"\nactivity = 100", "an activity is a number from 0 to 99"),
            ("[[rule]]\nevnt = \"a\"", "unknown field `evnt`"),
            ("[[rules]]\nevent = \"a\"", "unknown field `rules`"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("map.toml");
            std::fs::write(&path, text).unwrap();
            let error = Mapping::read(&path).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("map.toml"), "{error}");
        }
    }
}
