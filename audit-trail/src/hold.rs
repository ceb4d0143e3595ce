//! `audit-trail hold ..`

use crate::exact;
use crate::failure::Failure;
use crate::personal;
use crate::say;
use crate::show::{Output, Style};
use crate::text::{count, harmless};
use audit_runtime::admin::{Admin, Hold, HoldStatus};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Adds a legal hold: its events are neither pruned nor forgotten, until it is lifted
    Add(Add),
    /// Lists the holds in force, oldest first, with the number of their events
    List {
        /// Lists those that were lifted, too
        #[arg(long)]
        all: bool,
    },
    /// Lifts a hold
    Lift(Lift),
}

/// Requires the owner of the audit tables. Several conditions select the events that match all of
/// them. Events that are recorded later are held, too. An event audit.held reports the hold.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Events of this entity, by its id or its own key, those that have it as a further one, and those
    /// whose data name it as `<type>_id`
    #[arg(value_name = "TYPE:KEY", value_parser = crate::select::entity)]
    entity: Option<(String, String)>,
    /// Events of this type; `*` stands for any text: 'payment.*'
    #[arg(long, value_name = "TYPE", allow_hyphen_values = true)]
    event: Option<String>,
    /// Events about data of this tenant
    #[arg(long, allow_hyphen_values = true)]
    tenant: Option<String>,
    /// Events of this actor
    #[arg(long, allow_hyphen_values = true)]
    actor: Option<String>,
    /// Takes `*` and `?` in conditions other than --event, and `?` there, as they are. Without it, they are
    /// refused: these conditions are compared as a whole
    #[arg(long)]
    literal: bool,
    /// The reason, as in 'case 2026-17'
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The actor of the event audit.held [env: USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Requires the owner of the audit tables. The hold stays in the list, and an event audit.released
/// reports its end.
#[derive(Debug, Args)]
pub(crate) struct Lift {
    /// The hold, as hold list shows it
    #[arg(value_parser = crate::select::id)]
    id: Uuid,
    /// The reason, as in 'case 2026-17 is closed'
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The actor of the event audit.released [env: USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Command {
    pub(crate) async fn run(self, pool: &PgPool, style: &Style) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(pool).await,
            Self::List { all } => list(&Admin::new(pool.clone()).holds(all).await?, all, style),
            Self::Lift(Lift { id, reason, by }) => {
                personal::admin(pool, by).lift_hold(id, &reason).await?;
                say::line(format!("{id}  lifted"))
            }
        }
    }
}

impl Add {
    async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let mut others = vec![("--tenant", self.tenant.as_deref()), ("--actor", self.actor.as_deref())];
        others.extend(exact::entity("the entity", &self.entity));
        exact::check(self.literal, &self.event, others).map_err(Failure::Usage)?;
        let mut hold = Hold::new();
        hold = self.entity.into_iter().fold(hold, |hold, (kind, key)| hold.entity(kind, key));
        hold = self.event.into_iter().fold(hold, Hold::event);
        hold = self.tenant.into_iter().fold(hold, Hold::tenant);
        hold = self.actor.into_iter().fold(hold, Hold::actor);
        let added = personal::admin(pool, self.by).add_hold(&hold, &self.reason).await?;
        let (id, scope, events) = (added.id, harmless(&hold.to_string()), counted(added.events));
        let is_held = if added.is_new { "held" } else { "held already, nothing is added" };
        say::line(format!("{id}  {scope}  {is_held}  {events}"))?;
        if added.events == Some(0) {
            say::notice(
                "the hold keeps nothing yet, because no event matches it; type and key are compared exactly, and later events are held",
            );
        }
        Ok(())
    }
}

/// A number of events, as far as they were counted.
fn counted(events: Option<u64>) -> String {
    match events {
        None => "events not counted within 2 s".into(),
        Some(HoldStatus::MOST_COUNTED) => format!("{} events or more", HoldStatus::MOST_COUNTED),
        Some(events) => count(events, "event", "events"),
    }
}

fn list(holds: &[HoldStatus], all: bool, style: &Style) -> Result<(), Failure> {
    if style.is_given() {
        say::rows(holds.iter().map(json), style.output() == Output::Json)?;
    } else {
        for hold in holds {
            let HoldStatus { id, scope, reason, actor, since, lifted, events, .. } = hold;
            let end = lifted.as_ref().map_or_else(String::new, |lifted| {
                format!("  lifted {} by {}: {}", lifted.at, lifted.by, lifted.reason)
            });
            let text = format!("{scope}  {}  since {since} by {actor}: {reason}{end}", counted(*events));
            say::line(format!("{id}  {}", harmless(&text)))?;
        }
    }
    if holds.is_empty() {
        return Err(Failure::Nothing(if all { "no hold was ever added" } else { "no hold is in force" }.into()));
    }
    Ok(())
}

fn json(hold: &HoldStatus) -> Value {
    let lifted = hold.lifted.as_ref();
    json!({
        "id": hold.id,
        "scope": hold.scope,
        "reason": hold.reason,
        "actor": hold.actor,
        "since": hold.since,
        "events": hold.events,
        "is_more": hold.events == Some(HoldStatus::MOST_COUNTED),
        "lifted": lifted.map(|lifted| json!({"at": lifted.at, "by": lifted.by, "reason": lifted.reason})),
    })
}
