//! `audit-trail policy ..`

use crate::failure::Failure;
use crate::say;
use crate::text::{count, harmless};
use audit_runtime::Outcome;
use audit_runtime::policy::{Rehearsal, Rule, Rules};
use audit_runtime::trail::{EventFilter, Trail};
use clap::{Args, Subcommand};
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgPool;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The name of what no rule is about.
const OTHERS: &str = "(no rule)";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Explains the rules of a policy's file, and exits with 2 if it is invalid
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file
    file: PathBuf,
    /// Counts the last day's events of the database, and how many each rule would have kept
    #[arg(long)]
    against: bool,
}

impl Command {
    /// Whether it runs without a database.
    pub(crate) fn is_local(&self) -> bool {
        let Self::Check(check) = self;
        !check.against
    }

    /// Explains the rules.
    pub(crate) fn explain(&self) -> Result<Rules, Failure> {
        let Self::Check(check) = self;
        let rules =
            Rules::read(&check.file).map_err(|error| Failure::Usage(format!("{}: {error}", check.file.display())))?;
        say::bytes(explanation(&rules).as_bytes())?;
        if let Some(rule) = unreachable(&rules) {
            say::notice(format!("the rules behind {} are never reached, because it is about every event", rule.name()));
        }
        Ok(rules)
    }

    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let rules = self.explain()?;
        let mut tallies = vec![Tally::default(); rules.iter().len()];
        let mut others = Tally::default();
        let since = SystemTime::now() - DAY;
        let mut rehearsal = Rehearsal::new(rules.clone());
        let trail = Trail::new(pool.clone());
        let mut events = Box::pin(trail.stream(EventFilter::new().since(since).limit(2_000)));
        while let Some(event) = events.try_next().await? {
            // It goes with its completion.
            if event.outcome == Outcome::Started {
                continue;
            }
            match rehearsal.event(&event) {
                Some((place, is_kept)) => tallies[place].add(is_kept),
                None => others.add(true),
            }
        }
        let names = rules.iter().map(|rule| harmless(rule.name())).chain([OTHERS.to_owned()]);
        say::bytes(table(names.zip(tallies.into_iter().chain([others])).collect()).as_bytes())
    }
}

/// Events that a rule is about, and those of them that it would have kept.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    events: u64,
    kept: u64,
}

impl Tally {
    fn add(&mut self, is_kept: bool) {
        self.events += 1;
        self.kept += u64::from(is_kept);
    }

    /// Returns the share that is kept, in percent.
    fn share(self) -> String {
        match self.events {
            0 => "-".into(),
            events => format!("{:.1} %", self.kept as f64 * 100.0 / events as f64),
        }
    }
}

fn explanation(rules: &Rules) -> String {
    let mut text: String = rules.iter().map(|rule| harmless(&format!("{}: {rule}", rule.name())) + "\n").collect();
    text.push_str("all other events: recorded in full\n");
    text.push_str("always recorded: failures, calls with required or tx, record_in, and the library's own events\n");
    text
}

/// Returns the rule behind which others are never reached.
fn unreachable(rules: &Rules) -> Option<&Rule> {
    rules.iter().take(rules.iter().len().saturating_sub(1)).find(|rule| rule.is_about_all())
}

/// Returns the events of the last day by the rule that is about them.
fn table(rows: Vec<(String, Tally)>) -> String {
    let sum = rows
        .iter()
        .fold(Tally::default(), |sum, (_, row)| Tally { events: sum.events + row.events, kept: sum.kept + row.kept });
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = format!(
        "\n{} of the last day, of which {} would have been kept ({})\n",
        count(sum.events, "event", "events"),
        sum.kept,
        sum.share()
    );
    for (name, row) in rows {
        text.push_str(&format!("{name:<width$}  {:>9}  {:>9} kept  {:>7}\n", row.events, row.kept, row.share()));
    }
    text
}
