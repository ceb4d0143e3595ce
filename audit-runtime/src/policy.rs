//! The rules of a policy: which events are recorded, and how much of each.
//!
//! [`Builder::policy`](crate::Builder::policy) names the file and has an example. Programs that
//! check files use [`Rules`] and [`Rehearsal`].
//!
//! ```
//! use audit_runtime::policy::{Level, Rules};
//!
//! let rules: Rules = "[[rule]]\nname = 'probes'\nevent = '*.probed'\nlevel = 'none'".parse()?;
//! let rule = rules.iter().next().unwrap();
//! assert_eq!((rule.name(), rule.level()), ("probes", Level::None));
//! assert_eq!(rule.to_string(), "events of type *.probed: not recorded");
//! # Ok::<(), audit_runtime::policy::RulesError>(())
//! ```

pub use crate::recorder::policy::{Level, Rehearsal, Rule, Rules, RulesError, pattern_matches};
