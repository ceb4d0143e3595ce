//! `audit-trail prune`

use crate::failure::Failure;
use crate::text::Steps;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::Args;
use sqlx::postgres::PgPool;
use std::path::PathBuf;
use uuid::Uuid;

/// It takes the tables' owner. Others may read and write meanwhile; what an interrupted prune leaves is cleared away by the next.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Months that end by the begin of this day (UTC) are pruned, as in 2020-01-01
    #[arg(long, value_name = "DATE", value_parser = date)]
    before: DateTime<Utc>,
    /// Exports the rows to this file first, which must not exist, as lines of JSON, and reads it again
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Keeps the events of this entity, and those whose data name it as `<type>_id`; may be given several times, and has to be given each time
    #[arg(long, value_name = "TYPE:ID", value_parser = entity)]
    hold: Vec<(String, Uuid)>,
    /// Who does it, for the event audit.pruned
    #[arg(long, env = "USER", hide_env_values = true, value_name = "NAME")]
    actor: Option<String>,
    /// Prunes although verification finds problems
    #[arg(long)]
    despite_problems: bool,
    /// Only says what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Prune {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let mut prune =
            audit_runtime::Prune::new(self.before).despite_problems(self.despite_problems).only_say(self.dry_run);
        prune = self.archive.into_iter().fold(prune, audit_runtime::Prune::archive);
        prune = self.actor.into_iter().fold(prune, audit_runtime::Prune::actor);
        prune = self.hold.into_iter().fold(prune, |prune, (entity_type, id)| prune.hold(entity_type, id));
        let mut steps = Steps::default();
        let pruning = prune.run(pool, |step| steps.tell(step));
        tokio::select! {
            pruned = pruning => pruned?,
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::Other("interrupted: months that were not said to be pruned are as they were".into()));
            }
        };
        steps.or(&format!("no month ended before {}: there is nothing to prune", self.before.format("%Y-%m-%d")));
        Ok(())
    }
}

/// A day: the months that are pruned are those of UTC, whatever the time is here.
fn date(text: &str) -> Result<DateTime<Utc>, String> {
    let day =
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| format!("{text:?} is no date; write 2020-01-01"))?;
    Ok(day.and_time(NaiveTime::MIN).and_utc())
}

fn entity(text: &str) -> Result<(String, Uuid), String> {
    let (entity_type, id) = text.split_once(':').ok_or("write TYPE:ID, as in order:0190a4c1-..")?;
    Ok((entity_type.to_owned(), id.parse().map_err(|error| format!("{id:?} is no id: {error}"))?))
}
