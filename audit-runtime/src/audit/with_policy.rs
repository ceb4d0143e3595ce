//! The policy of a trail: its file, and the thread that reads it again.

use super::builder::Builder;
use crate::recorder::policy::{Rules, text_of};
use crate::recorder::{Recorder, policy_watch};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A policy that was read at the start of a trail.
pub(super) struct ReadPolicy {
    path: PathBuf,
    text: String,
    rules: Rules,
}

/// The policy of a trail.
#[cfg_attr(docsrs, doc(cfg(feature = "policy")))]
impl Builder {
    /// Names a TOML file of rules which events are recorded, and how much of each.
    ///
    /// The first rule that is about an event decides. Its patterns `event`, `actor` and `tenant`
    /// may contain `*` and `?`, and a missing one matches all. Events that no rule is about are
    /// recorded in full.
    ///
    /// ```toml
    /// [[rule]]
    /// name = "balances of the back office"
    /// event = "account.viewed"
    /// actor = "service:*"
    /// once_per = "1h"      # of each type, entity, actor and tenant; the next one has the count
    ///
    /// [[rule]]
    /// name = "quotes"
    /// event = "quote.*"
    /// sample = 0.1         # of all correlations: a request is kept whole
    ///
    /// [[rule]]
    /// name = "imports"
    /// event = "import.*"
    /// level = "metadata"   # without arguments, result and error text; "none" records nothing
    /// ```
    ///
    /// Failures and the events of `required`, `tx` and
    /// [`Audit::record_in`](crate::Audit::record_in) are always recorded. So are the library's own
    /// events `audit.*`. `level = "metadata"` applies to all events except these last ones.
    ///
    /// The file is read again within about two seconds of a change. An event `audit.policy_changed`
    /// has the rules, at the start and after each change. A file that is invalid or cannot be read
    /// changes nothing: [`Stats::policy_error`](crate::Stats::policy_error) and a warning report it.
    /// At the start, [`start`](Self::start) returns an error instead.
    ///
    /// [`Stats::left_out`](crate::Stats::left_out) counts what each rule left out. `audit-trail
    /// policy check FILE` explains a file, and `--against` says what share of the last day each rule
    /// would have kept.
    ///
    /// ```
    /// # use audit_runtime::Audit;
    /// let builder = Audit::builder().policy("/etc/desk/audit-policy.toml");
    /// ```
    pub fn policy(mut self, path: impl Into<PathBuf>) -> Self {
        self.policy = Some(path.into());
        self
    }

    /// Reads the policy's file, if there is one.
    pub(super) fn read_policy(&self) -> Result<Option<ReadPolicy>, String> {
        let Some(path) = self.policy.clone() else {
            return Ok(None);
        };
        let read = text_of(&path).and_then(|text| Ok((text.parse()?, text)));
        let (rules, text) = read.map_err(|error| error.of_file(&path))?;
        Ok(Some(ReadPolicy { path, text, rules }))
    }
}

impl ReadPolicy {
    /// Returns a recorder that applies the rules.
    pub(super) fn applied(&self, recorder: Recorder) -> Recorder {
        recorder.with_policy(self.rules.clone())
    }

    /// Records the rules, and starts the thread that reads the file again.
    pub(super) fn watched(self, recorder: &Arc<Recorder>) -> io::Result<()> {
        if let Some(policy) = recorder.policy() {
            recorder.record_rules(policy, &self.path, "start");
        }
        policy_watch::start(recorder.clone(), self.path, self.text)
    }
}
