//! `audit-trail quarantine ..`

use crate::failure::Failure;
use crate::text::harmless;
use audit_runtime::{Quarantine, Retried};
use clap::{Args, Subcommand};
use sqlx::postgres::PgPool;
use std::io::{self, Write};
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists them with what PostgreSQL said, oldest first
    List,
    /// Tries to store them again, with the batch they came with; those refused again stay
    Retry(Chosen),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// The events to be tried
    #[arg(value_name = "ID")]
    ids: Vec<Uuid>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Command {
    /// Fails if there was nothing, or not all of it went through.
    pub(crate) async fn run(self, pool: PgPool) -> Result<(), Failure> {
        let quarantine = Quarantine::new(pool);
        let mut output = io::stdout().lock();
        match self {
            Self::List => {
                let refused = quarantine.list().await?;
                for row in &refused {
                    let event = row.event.as_ref().map_or("no event", |event| event.event_type.as_str());
                    let code = row.sqlstate.as_deref().unwrap_or("-");
                    let (event, error) = (harmless(event), harmless(&row.error));
                    writeln!(output, "{}  {}  {event}  {code}  {error}", row.id, row.created_at.to_rfc3339())?;
                }
                if refused.is_empty() {
                    return Err(Failure::Nothing("the quarantine is empty".into()));
                }
                Ok(())
            }
            Self::Retry(Chosen { mut ids, all }) => {
                if all {
                    ids = quarantine.list().await?.into_iter().map(|row| row.id).collect();
                }
                if ids.is_empty() {
                    return Err(Failure::Nothing("the quarantine is empty".into()));
                }
                let mut left = 0;
                for id in ids {
                    let retried = quarantine.retry(id).await?;
                    left += usize::from(retried != Retried::Stored);
                    match retried {
                        Retried::Stored => writeln!(output, "{id}  stored")?,
                        Retried::RefusedAgain(error) => writeln!(output, "{id}  refused again: {}", harmless(&error))?,
                        _ => writeln!(output, "{id}  not in the quarantine")?,
                    }
                }
                if left > 0 {
                    return Err(Failure::Other(format!("{left} were not stored")));
                }
                Ok(())
            }
        }
    }
}
