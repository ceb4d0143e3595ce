//! `audit-trail retain`

mod file;

use crate::failure::Failure;
use crate::personal;
use crate::say::Steps;
use crate::text::{count, harmless};
use audit_runtime::Timestamp;
use audit_runtime::admin::{Admin, Prune};
use clap::Args;
use file::{Keep, Retention, Rule};
use sqlx::postgres::PgPool;
use std::path::PathBuf;

/// Prints what the rules of the file would remove, and removes it with --apply. An event is kept as
/// the first rule says that matches it, and events that no rule matches stay. Holds are respected.
/// Each rule that removes rows verifies the trail first. --apply requires the owner of the audit
/// tables.
///
///   [[rule]]
///   event = "customer.viewed"
///   keep = "90 days"
///   archive = "/archive/viewed-%Y-%m.ndjson"
///
/// A rule has one or more of event, tenant, entity ("TYPE" or "TYPE:KEY") and actor, or none of them
/// for all other events. In event, `*` stands for any text. The others are compared as a whole, and
/// `literal = true` allows `*` and `?` in them. `keep` is a number of days, weeks, months or years, or "forever". `archive` is
/// a file for each month, or a lake, as s3://bucket/prefix or a directory.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Retain {
    /// The file of rules, in TOML
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Removes the events
    #[arg(long)]
    apply: bool,
    /// Prints the plan, as without --apply
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// Removes nothing if the plan has more rows than this
    #[arg(long, value_name = "ROWS", requires = "apply")]
    at_most: Option<u64>,
    /// Removes rows although a feed (audit-trail feed list) has not sent them, which it then misses
    #[arg(long)]
    despite_feeds: bool,
    /// The actor of the events audit.pruned [env: USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    #[cfg(feature = "lake")]
    #[command(flatten)]
    signing: crate::lake::Signing,
}

impl Retain {
    /// Refuses a file with a mistake.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.read().map(drop)
    }

    /// Reads the file.
    fn read(&self) -> Result<Retention, Failure> {
        Retention::read(&self.file)
    }

    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let rules = self.read()?.rules;
        let admin = personal::admin(pool, self.actor);
        let settings = Settings {
            pool: pool.clone(),
            #[cfg(feature = "lake")]
            signing: self.signing,
            despite_feeds: self.despite_feeds,
        };
        let now = Timestamp::now();
        let mut steps = Steps::default();
        if let Some(most) = self.at_most {
            let planned = run(&admin, &settings, &rules, now, true, &mut |_| {}).await?;
            if planned > most {
                return Err(Failure::Other(format!(
                    "the plan removes {}, more than --at-most {most}, so nothing is removed; print it: audit-trail retain {}",
                    count(planned, "row", "rows"),
                    self.file.display()
                )));
            }
        }
        let rows = run(&admin, &settings, &rules, now, !self.apply, &mut |step| steps.step(step)).await?;
        steps.step(&match (rows, self.apply) {
            (0, _) => "nothing to remove".to_owned(),
            (rows, true) => format!("{} removed", count(rows, "row", "rows")),
            (rows, false) => {
                format!("dry run: nothing is removed; --apply removes {}", count(rows, "row", "rows"))
            }
        });
        steps.or("")
    }
}

/// Applies to every rule: where its rows are kept that go, and whether feeds may miss them.
struct Settings {
    pool: PgPool,
    #[cfg(feature = "lake")]
    signing: crate::lake::Signing,
    despite_feeds: bool,
}

impl Settings {
    /// Sets the archive of a rule: a file for each month, or a lake, which is brought up to date first.
    async fn archive(&self, prune: Prune, archive: &str, tell: &mut impl FnMut(&str)) -> Result<Prune, Failure> {
        #[cfg(feature = "lake")]
        if crate::lake::is_lake(archive) {
            let step = |step: &str| tell(&format!("  {step}"));
            return Ok(prune.kept(crate::lake::confirmed(&self.pool, archive, &self.signing, step).await?));
        }
        let _ = (&self.pool, tell);
        Ok(prune.archive_by_month(archive))
    }
}

/// Runs the rules, and returns how many rows they removed, or would remove.
async fn run(
    admin: &Admin,
    settings: &Settings,
    rules: &[Rule],
    now: Timestamp,
    is_dry_run: bool,
    tell: &mut impl FnMut(&str),
) -> Result<u64, Failure> {
    let mut rows = 0;
    for (place, rule) in rules.iter().enumerate() {
        let Keep::Until(before) = rule.keep.until(now) else { continue };
        let mut prune =
            Prune::new(before).only(rule.filter.clone()).dry_run(is_dry_run).ignore_feeds(settings.despite_feeds);
        prune = rules[..place].iter().fold(prune, |prune, earlier| prune.except(earlier.filter.clone()));
        let date = before.to_string();
        let date = date.split('T').next().unwrap_or_default();
        tell(&harmless(&format!("rule {}: {} before {date}", rule.name, rule.filter)));
        if let Some(archive) = rule.archive.as_ref().filter(|_| !is_dry_run) {
            prune = settings.archive(prune, archive, tell).await?;
        }
        let report = admin.prune(&prune, |step| tell(&format!("  {step}"))).await?;
        rows += report.rows;
    }
    Ok(rows)
}
