//! `audit-trail feed`: the feeds that the database knows.

use super::command::start;
use crate::failure::Failure;
use crate::say;
use crate::show::{Output, Style};
use crate::status;
use crate::text::harmless;
use audit_runtime::feed::Feeds;
use clap::Subcommand;
use serde_json::json;
use sqlx::postgres::PgPool;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the feeds, and how far each is behind
    List,
    /// Has a feed wait. A process that runs it stops sending
    Pause {
        /// The feed
        name: String,
    },
    /// Has a feed go on
    Resume {
        /// The feed
        name: String,
    },
    /// Has a feed send again, or leave out, from another point on
    Rewind {
        /// The feed
        name: String,
        /// `now`, `beginning`, or what was stored at this time or later
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        from: String,
    },
    /// Lists the events that a target refused
    Refused {
        /// The feed
        name: String,
    },
    /// Removes a feed, with its position and what it has set aside. Requires the owner of the tables
    Remove {
        /// The feed
        name: String,
    },
}

impl Command {
    /// The name of the subcommand.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List => "feed list",
            Self::Pause { .. } => "feed pause",
            Self::Resume { .. } => "feed resume",
            Self::Rewind { .. } => "feed rewind",
            Self::Refused { .. } => "feed refused",
            Self::Remove { .. } => "feed remove",
        }
    }

    /// Whether it offers JSON.
    pub(crate) fn has_rows(&self) -> bool {
        matches!(self, Self::List | Self::Refused { .. })
    }

    pub(crate) async fn run(self, pool: &PgPool, style: &Style) -> Result<(), Failure> {
        let feeds = Feeds::new(pool.clone());
        match self {
            Self::List => list(pool, style).await,
            Self::Pause { name } => {
                feeds.pause(&name, true).await?;
                say::line(format!("{} waits until audit-trail feed resume", harmless(&name)))
            }
            Self::Resume { name } => {
                feeds.pause(&name, false).await?;
                say::line(format!("{} goes on", harmless(&name)))
            }
            Self::Rewind { name, from } => {
                feeds.rewind(&name, start("--from", &from)?).await?;
                say::line(format!("{} goes on from {}", harmless(&name), harmless(&from)))
            }
            Self::Refused { name } => refused(&feeds, &name, style).await,
            Self::Remove { name } => {
                feeds.remove(&name).await?;
                say::line(format!("{} is removed", harmless(&name)))
            }
        }
    }
}

async fn list(pool: &PgPool, style: &Style) -> Result<(), Failure> {
    let feeds = status::feeds(pool).await?;
    if style.is_given() {
        return say::rows(feeds.iter().map(|feed| json!(feed)), style.output() == Output::Json);
    }
    if feeds.is_empty() {
        return Err(Failure::Nothing("no feed is known; audit-trail forward makes one".into()));
    }
    feeds.iter().try_for_each(|feed| say::line(feed.line()))
}

async fn refused(feeds: &Feeds, name: &str, style: &Style) -> Result<(), Failure> {
    let refused = feeds.set_aside(name).await?;
    if style.is_given() {
        let rows = refused.iter().map(|one| {
            json!({"event_id": one.event_id, "event_at": one.event_at, "error": one.error, "created_at": one.created_at})
        });
        return say::rows(rows, style.output() == Output::Json);
    }
    if refused.is_empty() {
        return Err(Failure::Nothing(format!("the feed {} has set no event aside", harmless(name))));
    }
    for one in &refused {
        say::line(harmless(&format!("{}  {}  {}", one.created_at, one.event_id, one.error)))?;
    }
    Ok(())
}
