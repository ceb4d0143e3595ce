//! Events that are in a lake, among those of the database: one answer in one order.

use crate::failure::Failure;
#[cfg(feature = "lake")]
use crate::lake::{LakeEvents, Question, in_order};
use audit_runtime::trail::{Cursor, EventFilter, Trail, TrailEvent};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt};

/// Events that are read from the database at once.
const PAGE: u32 = 1_000;

/// A lake that answers, too.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Cold {
    /// Answers from this lake as well, where archived events are: s3://bucket/prefix or a directory. An
    /// event that both have is shown once
    #[cfg(feature = "lake")]
    #[arg(long, value_name = "URL|DIRECTORY")]
    lake: Option<String>,
}

#[cfg(not(feature = "lake"))]
impl Cold {
    pub(crate) fn is_given(&self) -> bool {
        false
    }

    pub(crate) async fn with(
        &self,
        _: &Trail,
        hot: Vec<TrailEvent>,
        _: Vec<EventFilter>,
        _: bool,
        _: usize,
    ) -> Result<Vec<TrailEvent>, Failure> {
        Ok(hot)
    }
}

#[cfg(feature = "lake")]
impl Cold {
    /// Whether a lake is asked.
    pub(crate) fn is_given(&self) -> bool {
        self.lake.is_some()
    }

    /// Adds the lake's events that match one of these filters: of all, the newest or the oldest so many.
    pub(crate) async fn with(
        &self,
        trail: &Trail,
        mut events: Vec<TrailEvent>,
        any: Vec<EventFilter>,
        newest: bool,
        most: usize,
    ) -> Result<Vec<TrailEvent>, Failure> {
        let Some(lake) = &self.lake else { return Ok(events) };
        let lake = LakeEvents::open(lake).await?;
        let mut cold = lake.ask(&Question { any, newest, most }).await?;
        // The database knows more of its own, such as whether a call has ended: those come first.
        let known: std::collections::HashSet<_> = events.iter().map(|event| (event.created_at, event.id)).collect();
        cold.retain(|event| !known.contains(&(event.created_at, event.id)));
        lake.mark_intents(&mut cold).await?;
        events.extend(trail.reveal(cold).await?);
        in_order(&mut events);
        let more = events.len().saturating_sub(most);
        if newest {
            events.drain(..more);
        } else {
            events.truncate(most);
        }
        Ok(events)
    }
}

impl Cold {
    /// Returns the newest events that match, or those after or before one.
    pub(crate) async fn page(
        &self,
        trail: &Trail,
        filter: EventFilter,
        (after, before): (Option<Cursor>, Option<Cursor>),
        limit: u32,
    ) -> Result<Vec<TrailEvent>, Failure> {
        let (most, is_newest) = (limit as usize, after.is_none());
        let filter = after.into_iter().fold(filter, EventFilter::after);
        let filter = before.into_iter().fold(filter, EventFilter::before);
        let hot = if is_newest {
            trail.newest(filter.clone().limit(limit.min(PAGE)), limit.into()).try_collect().await?
        } else {
            trail.stream(filter.clone().limit(limit.min(PAGE))).take(most).try_collect().await?
        };
        self.with(trail, hot, vec![filter], is_newest, most).await
    }
}
