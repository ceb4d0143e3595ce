//! Reads the policy's file again when it changes.

use super::Recorder;
use super::policy::{Policy, Rules, RulesError, text_of};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The interval at which the file is read.
const EVERY: Duration = Duration::from_secs(1);

/// Starts the thread that reads the file. It ends when the trail does.
///
/// `text` is the text of the rules in force.
pub(crate) fn start(recorder: Arc<Recorder>, path: PathBuf, text: String) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new()
        .name("audit-policy".into())
        .spawn(move || runtime.block_on(run(&recorder, &path, text)))?;
    Ok(())
}

async fn run(recorder: &Recorder, path: &Path, text: String) {
    let Some(policy) = recorder.policy() else { return };
    let mut looks = Looks::new(text);
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = recorder.control.stopping() => return,
        }
        let found = looks.look(text_of(path).map_err(|error| error.of_file(path)));
        found.applied(recorder, policy, path);
    }
}

/// The result of a look at the file.
#[derive(Debug)]
enum Found {
    Nothing,
    /// Other rules.
    Rules(Rules),
    /// The rules in force again, after a mistake.
    Mended,
    /// A file that cannot be read, which was not reported yet.
    Unreadable(String),
    /// A mistake, which was not reported yet.
    Mistake(RulesError),
}

impl Found {
    fn applied(self, recorder: &Recorder, policy: &Policy, path: &Path) {
        match self {
            Self::Nothing => {}
            Self::Rules(rules) => {
                recorder.counters.set_policy_error(None);
                recorder.change_rules(policy, path, rules);
                tracing::info!(path = %path.display(), "the audit policy was read again");
            }
            Self::Mended => recorder.counters.set_policy_error(None),
            Self::Unreadable(error) => reported(recorder, error),
            Self::Mistake(error) => reported(recorder, error.of_file(path)),
        }
    }
}

fn reported(recorder: &Recorder, error: String) {
    tracing::warn!("the audit policy stays as it was: {error}");
    recorder.counters.set_policy_error(Some(error));
}

/// The looks at the file so far.
#[derive(Debug)]
struct Looks {
    /// The text of the rules in force.
    text: String,
    /// The last look. A file that is being written looks different the next time.
    last: Result<String, String>,
    /// The result of the last two looks that agreed.
    settled: Result<String, String>,
}

impl Looks {
    fn new(text: String) -> Self {
        Self { last: Ok(text.clone()), settled: Ok(text.clone()), text }
    }

    fn look(&mut self, seen: Result<String, String>) -> Found {
        let before = std::mem::replace(&mut self.last, seen);
        if before != self.last || self.last == self.settled {
            return Found::Nothing;
        }
        self.settled.clone_from(&self.last);
        match &self.settled {
            Ok(text) if *text == self.text => Found::Mended,
            Ok(text) => match text.parse() {
                Ok(rules) => {
                    self.text.clone_from(text);
                    Found::Rules(rules)
                }
                Err(error) => Found::Mistake(error),
            },
            Err(error) => Found::Unreadable(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "[[rule]]\nname = \"one\"";
    const TWO: &str = "[[rule]]\nname = \"two\"";

    fn looks(looks: &mut Looks, seen: &[Result<&str, &str>]) -> Vec<String> {
        let look = |seen: &Result<&str, &str>| match looks.look(seen.map(str::to_owned).map_err(str::to_owned)) {
            Found::Nothing => None,
            Found::Rules(rules) => Some(format!("rules {}", rules.iter().map(|rule| rule.name()).collect::<String>())),
            Found::Mended => Some("mended".into()),
            Found::Unreadable(error) => Some(error),
            Found::Mistake(error) => Some(error.to_string()),
        };
        seen.iter().filter_map(look).collect()
    }

    #[test]
    fn a_change_counts_once_two_looks_agree() {
        let mut seen = Looks::new(ONE.into());
        assert_eq!(looks(&mut seen, &[Ok(ONE), Ok(ONE), Ok("[["), Ok(&TWO[..12]), Ok(TWO)]), [""; 0]);
        assert_eq!(looks(&mut seen, &[Ok(TWO), Ok(TWO), Ok(TWO)]), ["rules two"]);
    }

    #[test]
    fn a_mistake_is_reported_once_and_changes_nothing() {
        let mut seen = Looks::new(ONE.into());
        assert_eq!(looks(&mut seen, &[Err("gone"), Err("gone"), Err("gone")]), ["gone"]);
        assert_eq!(looks(&mut seen, &[Ok(ONE), Ok(ONE), Ok(ONE)]), ["mended"]);
        let mistakes = looks(&mut seen, &[Ok("rule = 7"), Ok("rule = 7"), Ok("rule = 7"), Ok(ONE), Ok(ONE)]);
        assert!(mistakes.len() == 2 && mistakes[0].contains("line 1") && mistakes[1] == "mended", "{mistakes:?}");
        assert_eq!(looks(&mut seen, &[Ok(TWO), Ok(TWO)]), ["rules two"]);
    }
}
