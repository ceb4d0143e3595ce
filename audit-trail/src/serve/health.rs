//! The state of the trail, and what is wrong with it in words.

use super::refusal::Refusal;
use super::state::Site;
use crate::status::{LAG, Status};
use crate::text::count;
use audit_runtime::trail::{EventFilter, TrailEvent};
use serde::Serialize;

/// The oldest checkpoint that needs no attention, in seconds.
const CHECKPOINT_AGE: f64 = 86_400.0;
/// Gaps that are listed.
const GAPS: u32 = 10;

/// The state of the trail.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    pub(crate) status: Status,
    /// The newest events that report lost events.
    pub(crate) gaps: Vec<TrailEvent>,
    /// Events that this server has found altered since it started.
    pub(crate) altered: usize,
    /// The findings that need attention; empty without any.
    pub(crate) problems: Vec<String>,
}

/// Reads the state.
pub(crate) async fn read(site: &Site) -> Result<Health, Refusal> {
    let status = Status::read(&site.pool).await?;
    let gaps = site.trail.events(&EventFilter::new().event("audit.gap").newest_first().limit(GAPS)).await?.events;
    let altered = site.evidence.altered();
    let mut problems = problems(&status, &gaps, altered);
    if let Some(keys) = &site.keys {
        problems.extend(keys.loss().await?);
    }
    Ok(Health { status, gaps, altered, problems })
}

fn problems(status: &Status, gaps: &[TrailEvent], altered: usize) -> Vec<String> {
    let mut problems = Vec::new();
    if altered > 0 {
        let altered = count(altered as u64, "event is", "events are");
        problems.push(format!("{altered} ALTERED, as far as they were looked at; run audit-trail verify"));
    }
    if status.quarantine.events > 0 {
        let events = count(status.quarantine.events, "event is", "events are");
        problems.push(format!("{events} in the quarantine: audit-trail quarantine list"));
    }
    if let Some(gap) = gaps.first() {
        problems.push(format!("events were lost, the last time {}: see the gaps below", gap.created_at));
    }
    let late = status.writers.iter().filter(|writer| writer.lag_seconds.is_some_and(|lag| lag > LAG));
    problems
        .extend(late.map(|writer| format!("the last batch of {} was stored more than a minute late", writer.origin)));
    match status.seal.last_checkpoint_age_seconds {
        None => problems.push("no checkpoint was made yet: audit-trail checkpoint".into()),
        Some(age) if age > CHECKPOINT_AGE => {
            problems.push("the last checkpoint is older than a day: audit-trail checkpoint".into())
        }
        Some(_) => {}
    }
    problems.extend(status.schema_problems.iter().map(|problem| format!("{problem}: audit-trail migrate")));
    problems
}
