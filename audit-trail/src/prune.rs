//! `audit-trail prune`

use crate::exact;
use crate::failure::Failure;
use crate::personal;
use crate::say::{self, Steps};
use audit_runtime::admin::{self, PruneFilter};
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Json, Timestamp};
use clap::Args;
use sqlx::postgres::PgPool;

/// Requires the owner of the audit tables. Others may read and write meanwhile. Events of holds stay
/// (audit-trail hold). The next prune clears away what an interrupted one leaves.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Prunes the months that end by the beginning of this day (UTC), as in 2020-01-01; with a
    /// condition, the events that match and began before the day
    #[arg(long, value_name = "DATE", value_parser = date)]
    before: Timestamp,
    /// Prunes events of this type only; `*` stands for any text: 'customer.viewed'. May be given
    /// several times
    #[arg(long, value_name = "TYPE", allow_hyphen_values = true)]
    event: Vec<String>,
    /// Prunes events about data of this tenant only
    #[arg(long, allow_hyphen_values = true)]
    tenant: Option<String>,
    /// Prunes events about entities of this type only
    #[arg(long, value_name = "TYPE", allow_hyphen_values = true)]
    entity_type: Option<String>,
    /// Prunes events about this entity only, by its id or its own key
    #[arg(long, value_name = "TYPE:KEY", value_parser = crate::select::entity)]
    entity: Option<(String, String)>,
    /// Takes `*` and `?` in conditions other than --event, and `?` there, as they are. Without it, they are
    /// refused: these conditions are compared as a whole
    #[arg(long)]
    literal: bool,
    /// Exports the rows to this file first, which must not exist, as lines of JSON, and reads it
    /// again. Or a lake, as s3://bucket/prefix or a directory: brings it up to date, and compares each
    /// row that goes with the one there
    #[arg(long, value_name = "FILE|URL|DIRECTORY")]
    archive: Option<String>,
    #[cfg(feature = "lake")]
    #[command(flatten)]
    signing: crate::lake::Signing,
    /// Keeps the events of this entity, by its id or its own key, those that have it as a further
    /// one, and those whose data name it as `<type>_id`. May be given several times; it lasts for this
    /// prune, and audit-trail hold add for all
    #[arg(long, value_name = "TYPE:KEY", value_parser = crate::select::entity)]
    hold: Vec<(String, String)>,
    /// The actor of the event audit.pruned [env: USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Prunes although verification finds problems
    #[arg(long)]
    despite_problems: bool,
    /// Prunes rows although a feed (audit-trail feed list) has not sent them, which it then misses
    #[arg(long)]
    despite_feeds: bool,
    /// Prints what a prune would do, and does nothing
    #[arg(long)]
    dry_run: bool,
}

impl Prune {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        self.check()?;
        self.explain_holds(pool).await?;
        let filter = self.filter();
        let mut prune = admin::Prune::new(self.before).ignore_findings(self.despite_problems).dry_run(self.dry_run);
        prune = prune.ignore_feeds(self.despite_feeds);
        prune = self.hold.into_iter().fold(prune, |prune, (entity_type, id)| prune.hold(entity_type, id));
        prune = filter.iter().fold(prune, |prune, filter| prune.only(filter.clone()));
        let mut steps = Steps::default();
        #[cfg(feature = "lake")]
        let archive = match self.archive {
            Some(lake) if crate::lake::is_lake(&lake) => {
                if !self.dry_run {
                    let kept = crate::lake::confirmed(pool, &lake, &self.signing, |step| steps.step(step)).await?;
                    prune = prune.kept(kept);
                }
                None
            }
            archive => archive,
        };
        #[cfg(not(feature = "lake"))]
        let archive = self.archive;
        prune = archive.into_iter().fold(prune, admin::Prune::archive);
        personal::admin(pool, self.actor).prune(&prune, |step| steps.step(&step.to_string())).await?;
        let before = self.before.to_string();
        let before = before.split('T').next().unwrap_or_default();
        steps.or(&match filter {
            None => format!("no month of the trail ended before {before}; nothing to prune"),
            Some(filter) => format!("{filter}: no event before {before} is to go; nothing to prune"),
        })
    }
}

impl Prune {
    /// Refuses conditions that look like patterns.
    fn check(&self) -> Result<(), Failure> {
        let mut others = vec![("--tenant", self.tenant.as_deref()), ("--entity-type", self.entity_type.as_deref())];
        others.extend(exact::entity("--entity", &self.entity));
        others.extend(exact::entity("--hold", &self.hold));
        exact::check(self.literal, &self.event, others).map_err(Failure::Usage)
    }

    /// Returns the conditions, if there are any.
    fn filter(&self) -> Option<PruneFilter> {
        let mut filter = PruneFilter::new();
        filter = self.event.iter().fold(filter, PruneFilter::event);
        filter = self.tenant.iter().fold(filter, PruneFilter::tenant);
        filter = self.entity_type.iter().fold(filter, PruneFilter::entity_type);
        filter = self.entity.iter().fold(filter, |filter, (kind, key)| filter.entity(kind, key));
        (filter != PruneFilter::new()).then_some(filter)
    }

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
