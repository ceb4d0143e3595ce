//! `audit-trail prune`

use crate::failure::Failure;
use crate::personal;
use crate::say::{self, Steps};
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Json, Timestamp, admin};
use clap::Args;
use sqlx::postgres::PgPool;
use std::path::PathBuf;

/// Requires the owner of the audit tables. Others may read and write meanwhile. The next prune
/// clears away what an interrupted one leaves.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Prunes the months that end by the beginning of this day (UTC), as in 2020-01-01
    #[arg(long, value_name = "DATE", value_parser = date)]
    before: Timestamp,
    /// Exports the rows to this file first, which must not exist, as lines of JSON, and reads it
    /// again
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Keeps the events of this entity, by its id or its own key, those that have it as a further
    /// one, and those whose data name it as `<type>_id`. May be given several times; a hold lasts for one prune
    #[arg(long, value_name = "TYPE:KEY", value_parser = crate::select::entity)]
    hold: Vec<(String, String)>,
    /// The actor of the event audit.pruned [env: USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Prunes although verification finds problems
    #[arg(long)]
    despite_problems: bool,
    /// Prints what a prune would do, and does nothing
    #[arg(long)]
    dry_run: bool,
}

impl Prune {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        self.explain_holds(pool).await?;
        let mut prune = admin::Prune::new(self.before).ignore_findings(self.despite_problems).dry_run(self.dry_run);
        prune = self.archive.into_iter().fold(prune, admin::Prune::archive);
        prune = self.hold.into_iter().fold(prune, |prune, (entity_type, id)| prune.hold(entity_type, id));
        let mut steps = Steps::default();
        personal::admin(pool, self.actor).prune(&prune, |step| steps.step(&step.to_string())).await?;
        steps.or(&format!(
            "no month of the trail ended before {}; nothing to prune",
            self.before.to_string().split('T').next().unwrap_or_default()
        ))
    }
}

impl Prune {
    /// Warns of a hold that no event is about: its type or key may be misspelled.
    async fn explain_holds(&self, pool: &PgPool) -> Result<(), Failure> {
        let trail = Trail::new(pool.clone());
        for (kind, key) in &self.hold {
            let any = || EventFilter::new().limit(1);
            let name = format!("{kind}_id");
            let as_data = Json::from_iter([(name.as_str(), key.as_str())]);
            let filters = [any().entity(kind, key), any().target(kind, key), any().data(as_data)];
            let mut is_known = false;
            for filter in filters {
                is_known = is_known || !trail.events(&filter).await?.events.is_empty();
            }
            if !is_known {
                say::notice(format!(
                    "--hold {kind}:{key} keeps nothing: no event is about it, has it as a further entity or names it as {name}; \
                     type and key are compared exactly"
                ));
            }
        }
        Ok(())
    }
}

/// A day: the months that are pruned are those of UTC, whatever the time is here.
fn date(text: &str) -> Result<Timestamp, String> {
    format!("{text}T00:00:00Z").parse().map_err(|_| format!("invalid date {text:?}; write 2020-01-01"))
}
