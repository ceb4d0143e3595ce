//! The file of a policy: TOML.

use super::glob::Glob;
use super::rule::{Level, Period, Rule};
use super::rules::Rules;
use crate::recorder::rule_name::RuleName;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a file. Nobody writes a larger one on purpose.
const MOST_BYTES: u64 = 1 << 20;

/// The reason why a file is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The file cannot be read.
    #[error("cannot read the policy {path}: {reason}; name a file that this user may read")]
    File {
        /// The path.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// The text is not TOML, or has keys or values that no rule has.
    #[error("line {line} of the policy is invalid: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The mistake there.
        reason: String,
    },
    /// A rule contradicts itself or another one.
    #[error("rule {rule} of the policy is invalid: {reason}")]
    Rule {
        /// The name of the rule.
        rule: String,
        /// The mistake, and the text to write instead.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    rule: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: Option<String>,
    event: Option<String>,
    actor: Option<String>,
    tenant: Option<String>,
    #[serde(default)]
    level: WrittenLevel,
    sample: Option<f64>,
    once_per: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum WrittenLevel {
    None,
    Metadata,
    #[default]
    Full,
}

impl From<WrittenLevel> for Level {
    fn from(level: WrittenLevel) -> Self {
        match level {
            WrittenLevel::None => Self::None,
            WrittenLevel::Metadata => Self::Metadata,
            WrittenLevel::Full => Self::Full,
        }
    }
}

/// Reads the text of a policy.
///
/// # Errors
/// The text is not TOML, or a rule is invalid.
impl FromStr for Rules {
    type Err = RulesError;

    fn from_str(text: &str) -> Result<Self, RulesError> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
            RulesError::Syntax { line, reason: error.message().replace('\n', ", ") }
        })?;
        let rules = written.rule.into_iter().enumerate().map(|(place, rule)| rule.checked(place + 1));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let mut names = BTreeSet::new();
        if let Some(twice) = rules.iter().find(|rule| !names.insert(rule.name())) {
            let reason = "another rule has this name; give each rule a name of its own".into();
            return Err(RulesError::Rule { rule: twice.name().into(), reason });
        }
        Ok(Self { rules, digest: hex::encode(Sha256::digest(text)) })
    }
}

impl Rules {
    /// Reads the file of a policy.
    ///
    /// # Errors
    /// The file cannot be read, is larger than 1 MiB, or its text is not a policy.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, RulesError> {
        text_of(path.as_ref())?.parse()
    }
}

impl RulesError {
    /// Returns the message with the file's path.
    pub(crate) fn of_file(&self, path: &Path) -> String {
        match self {
            Self::File { .. } => self.to_string(),
            Self::Syntax { .. } | Self::Rule { .. } => format!("{}: {self}", path.display()),
        }
    }
}

/// Reads the text of a policy's file.
pub(crate) fn text_of(path: &Path) -> Result<String, RulesError> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        let bytes = File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
        if bytes as u64 > MOST_BYTES {
            return Err(io::Error::other("it has more than 1 MiB"));
        }
        Ok(text)
    };
    read().map_err(|error| RulesError::File { path: path.display().to_string(), reason: error.to_string() })
}

impl WrittenRule {
    fn checked(self, number: usize) -> Result<Rule, RulesError> {
        let name = self.name.clone().unwrap_or_else(|| number.to_string());
        let invalid = |reason: String| RulesError::Rule { rule: name.clone(), reason };
        if name.is_empty() || name.len() > 100 || name.contains(char::is_control) {
            return Err(invalid("a name has 1 to 100 bytes and no control characters".into()));
        }
        if self.event.as_deref().is_some_and(|event| event.starts_with("audit.")) {
            return Err(invalid("the library's own events `audit.*` are always recorded; remove the rule".into()));
        }
        let level = Level::from(self.level);
        if level == Level::None && (self.sample.is_some() || self.once_per.is_some()) {
            return Err(invalid(
                "`level = \"none\"` leaves out all events; remove it, or remove `sample` and `once_per`".into(),
            ));
        }
        if self.sample.is_some() && self.once_per.is_some() {
            return Err(invalid("`sample` and `once_per` exclude each other; remove one of them".into()));
        }
        if let Some(share) = self.sample.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(invalid(format!("`sample = {share}` is not a share; write a number from 0 to 1")));
        }
        let once_per = self.once_per.map(|text| match period(&text) {
            Some(length) => Ok(Period { text, length }),
            None => Err(invalid(format!(
                "`once_per = {text:?}` is not a period; write a number and one of ms, s, m, h and d, as in \"1h\""
            ))),
        });
        let once_per = once_per.transpose()?;
        let glob = |text: Option<String>| text.as_deref().map(Glob::new);
        Ok(Rule {
            name: RuleName::new(&name),
            event: glob(self.event),
            actor: glob(self.actor),
            tenant: glob(self.tenant),
            level,
            sample: self.sample,
            once_per,
            left_out: Arc::default(),
        })
    }
}

/// A period of at least a millisecond and at most ten years.
fn period(text: &str) -> Option<Duration> {
    const YEARS: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.checked_mul(millis)?;
    (1..=YEARS).contains(&millis).then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_rules_in_order_and_names_of_their_own() {
        let rules: Rules = r#"
            [[rule]]
            name = "health"
            event = "*.probed"
            level = "none"

            [[rule]]
            actor = "service:*"
            tenant = "acme"
            level = "metadata"
            sample = 0.25

            [[rule]]
            event = "account.viewed"
            once_per = "90m"
        "#
        .parse()
        .unwrap();
        let shown: Vec<String> = rules.iter().map(|rule| format!("{}: {rule}", rule.name())).collect();
        assert_eq!(
            shown,
            [
                "health: events of type *.probed: not recorded",
                "2: events of actor service:* of tenant acme: recorded without arguments, result and error text, for a share of 0.25 of all correlations",
                "3: events of type account.viewed: recorded in full, once per 90m for each type, entity, actor and tenant",
            ]
        );
        assert_eq!(rules.rules[2].once_per(), Some(Duration::from_secs(5_400)));
        assert_eq!("".parse::<Rules>().unwrap().iter().count(), 0);
    }

    #[test]
    fn a_mistake_is_named_with_its_line_or_rule() {
        for (text, parts) in [
            ("[[rule]]\nlevel = \"non\"", &["line 2", "metadata"][..]),
            ("[[rule]]\nname = \"a\"\n\nevnt = \"x.y\"", &["line 4", "evnt"]),
            ("rule = 7", &["line 1"]),
            ("[[rule]\n", &["line 1"]),
            ("[[rule]]\nname = \"a\"\n[[rule]]\nname = \"a\"", &["rule a", "a name of its own"]),
            ("[[rule]]\nname = \"\"", &["1 to 100 bytes"]),
            ("[[rule]]\nevent = \"audit.*\"", &["rule 1", "always recorded"]),
            ("[[rule]]\nlevel = \"none\"\nsample = 0.5", &["rule 1", "remove it"]),
            ("[[rule]]\nsample = 0.5\nonce_per = \"1h\"", &["rule 1", "exclude each other"]),
            ("[[rule]]\nsample = 1.5", &["1.5", "from 0 to 1"]),
            ("[[rule]]\nsample = nan", &["from 0 to 1"]),
            ("[[rule]]\nonce_per = \"1 h\"", &["\"1 h\"", "as in \"1h\""]),
            ("[[rule]]\nonce_per = \"0s\"", &["\"0s\""]),
            ("[[rule]]\nonce_per = \"99999999999999999999d\"", &["is not a period"]),
        ] {
            let error = text.parse::<Rules>().unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{text}: {part}: {error}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_or_too_large_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.toml");
        let error = Rules::read(&path).unwrap_err().to_string();
        assert!(error.contains("cannot read the policy") && error.contains("policy.toml"), "{error}");
        std::fs::write(&path, "#".repeat(1 << 20)).unwrap();
        assert!(Rules::read(&path).is_ok());
        std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
        assert!(Rules::read(&path).unwrap_err().to_string().contains("1 MiB"));
    }
}
