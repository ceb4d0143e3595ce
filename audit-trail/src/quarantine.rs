//! `audit-trail quarantine ..`

use crate::failure::{Failure, plain_text};
use crate::format::entity;
use crate::say;
use crate::show::{Output, Style};
use crate::summary::about;
use crate::text::{count, harmless};
use audit_runtime::admin::{Admin, QuarantinedEvent, RetryOutcome};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the events with PostgreSQL's error, oldest first
    List,
    /// Retries events, with the batch they came with; an event that is refused again stays
    Retry(Chosen),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// The events
    #[arg(value_name = "ID", value_parser = crate::select::id)]
    ids: Vec<Uuid>,
    /// Retries all events of the quarantine
    #[arg(long)]
    all: bool,
}

const EMPTY: &str = "the quarantine is empty";

impl Command {
    pub(crate) async fn run(self, pool: &PgPool, style: &Style) -> Result<(), Failure> {
        let admin = Admin::new(pool.clone());
        match self {
            Self::List => list(&admin.quarantine().await?, style),
            Self::Retry(chosen) => retry(&admin, chosen).await,
        }
    }
}

fn list(refused: &[QuarantinedEvent], style: &Style) -> Result<(), Failure> {
    if style.is_given() {
        say::rows(refused.iter().map(json), style.output() == Output::Json)?;
    } else {
        for row in refused {
            let event = row.event.as_ref().map_or("undecodable", |event| event.event_type.as_str());
            let code = row.sqlstate.as_deref().unwrap_or("-");
            let (event, error) = (harmless(event), harmless(&plain_text(&row.error)));
            // Whom it is about: the entity, further ones and the tenant.
            let whom = row.event.as_ref().map_or_else(String::new, |event| {
                format!("{} {}", entity(event, true), about(event, true)).trim_end().to_owned()
            });
            say::line(format!("{}  {}  {event}  {whom}  {code}  {error}", row.id, row.created_at))?;
        }
    }
    if refused.is_empty() {
        return Err(Failure::Nothing(EMPTY.into()));
    }
    Ok(())
}

fn json(row: &QuarantinedEvent) -> Value {
    json!({
        "id": row.id,
        "batch_id": row.batch_id,
        "refused_at": row.created_at,
        "sqlstate": row.sqlstate,
        "error": plain_text(&row.error),
        "event": row.event,
    })
}

/// Retries events, and fails if the quarantine is empty or an event stays.
async fn retry(admin: &Admin, Chosen { mut ids, all }: Chosen) -> Result<(), Failure> {
    if all {
        ids = admin.quarantine().await?.into_iter().map(|row| row.id).collect();
    }
    if ids.is_empty() {
        return Err(Failure::Nothing(EMPTY.into()));
    }
    let (mut left, mut steps) = (0, say::Steps::default());
    for id in ids {
        let retried = admin.retry(id).await?;
        left += usize::from(retried != RetryOutcome::Stored);
        match retried {
            RetryOutcome::Stored => steps.step(&format!("{id}  stored")),
            RetryOutcome::RefusedAgain(error) => steps.step(&format!("{id}  refused again: {}", plain_text(&error))),
            _ => steps.step(&format!("{id}  not in the quarantine")),
        }
    }
    if left > 0 {
        return Err(Failure::Other(format!("{} not stored", count(left, "event was", "events were"))));
    }
    steps.or(EMPTY)
}
