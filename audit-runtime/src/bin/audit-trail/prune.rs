//! `audit-trail prune`

use crate::environment;
use crate::failure::Failure;
use crate::say::Steps;
use audit_runtime::Timestamp;
use clap::Args;
use sqlx::postgres::PgPool;
use std::path::PathBuf;
use uuid::Uuid;

/// Requires the owner of the audit tables. Others may read and write meanwhile. The next prune clears away what an interrupted one leaves.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Prunes the months that end by the beginning of this day (UTC), as in 2020-01-01
    #[arg(long, value_name = "DATE", value_parser = date)]
    before: Timestamp,
    /// Exports the rows to this file first, which must not exist, as lines of JSON, and reads it again
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Keeps the events of this entity, and those whose data name it as `<type>_id`. May be given several times; a hold lasts for one prune
    #[arg(long, value_name = "TYPE:ID", value_parser = entity)]
    hold: Vec<(String, Uuid)>,
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
        let mut prune =
            audit_runtime::Prune::new(self.before).despite_problems(self.despite_problems).only_say(self.dry_run);
        prune = self.archive.into_iter().fold(prune, audit_runtime::Prune::archive);
        prune = self.actor.or_else(environment::user).into_iter().fold(prune, audit_runtime::Prune::actor);
        prune = self.hold.into_iter().fold(prune, |prune, (entity_type, id)| prune.hold(entity_type, id));
        let mut steps = Steps::default();
        prune.run(pool, |step| steps.step(step)).await?;
        steps.or(&format!(
            "no month of the trail ended before {}; nothing to prune",
            self.before.to_string().split('T').next().unwrap_or_default()
        ))
    }
}

/// A day: the months that are pruned are those of UTC, whatever the time is here.
fn date(text: &str) -> Result<Timestamp, String> {
    format!("{text}T00:00:00Z").parse().map_err(|_| format!("invalid date {text:?}; write 2020-01-01"))
}

fn entity(text: &str) -> Result<(String, Uuid), String> {
    let (entity_type, id) = text.split_once(':').ok_or("write TYPE:ID, as in order:0190a4c1-..")?;
    Ok((entity_type.to_owned(), id.parse().map_err(|error| format!("invalid id {id:?}: {error}"))?))
}
