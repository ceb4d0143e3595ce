//! The events that caused one, and those that it caused.

use crate::failure::Failure;
use crate::format::entity;
use crate::summary;
use crate::text::{elided, harmless};
use crate::time::Zone;
use crate::timeline::shown;
use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use std::collections::HashSet;
use uuid::Uuid;

/// Events that are shown in each direction.
const MOST: usize = 50;

/// A line of another event, indented by how far it is away.
pub(crate) struct Relative {
    level: usize,
    event: TrailEvent,
}

/// Returns the chain of causes, the first one first, and the tree of effects. A text says what is
/// left out.
pub(crate) async fn of(trail: &Trail, event: &TrailEvent) -> Result<[(Vec<Relative>, Option<String>); 2], Failure> {
    Ok([causes(trail, event).await?, effects(trail, event).await?])
}

async fn causes(trail: &Trail, event: &TrailEvent) -> Result<(Vec<Relative>, Option<String>), Failure> {
    let (mut chain, mut left_out) = (Vec::new(), None);
    // A cause that is its own effect is no work of the library's, and the chain has an end.
    let mut seen = HashSet::from([event.id]);
    let mut cause = event.causation_id;
    let mut rule = summary::cause_left_out(event);
    while let Some(id) = cause.filter(|id| seen.insert(*id)) {
        if chain.len() == MOST {
            left_out = Some(format!("and more: audit-trail event {id}"));
            break;
        }
        let Some(event) = trail.events(&EventFilter::new().id(id).limit(1)).await?.events.pop() else {
            left_out = Some(match rule {
                Some(rule) => format!("event {id} was not recorded (rule {rule})"),
                None => format!("event {id} is not in the trail: not stored yet, refused or pruned"),
            });
            break;
        };
        cause = event.causation_id;
        rule = summary::cause_left_out(&event);
        chain.push(event);
    }
    let chain = chain.into_iter().rev().enumerate().map(|(level, event)| Relative { level, event }).collect();
    Ok((chain, left_out))
}

async fn effects(trail: &Trail, event: &TrailEvent) -> Result<(Vec<Relative>, Option<String>), Failure> {
    let mut tree = Vec::new();
    let mut seen: HashSet<Uuid> = HashSet::from([event.id]);
    let mut waiting = children(trail, event.id, 0).await?;
    while let Some(relative) = waiting.pop() {
        if tree.len() == MOST {
            let more =
                event.correlation_id.map_or_else(String::new, |id| format!(": audit-trail events --correlation {id}"));
            return Ok((tree, Some(format!("and more{more}"))));
        }
        if !seen.insert(relative.event.id) {
            continue;
        }
        waiting.extend(children(trail, relative.event.id, relative.level + 1).await?);
        tree.push(relative);
    }
    Ok((tree, None))
}

/// The effects of one event, the last one first.
async fn children(trail: &Trail, id: Uuid, level: usize) -> Result<Vec<Relative>, Failure> {
    let limit = u32::try_from(MOST + 1).unwrap_or(u32::MAX);
    let page = trail.events(&EventFilter::new().causation(id).limit(limit)).await?;
    Ok(page.events.into_iter().rev().map(|event| Relative { level, event }).collect())
}

impl Relative {
    /// Returns the event in one line of so many columns, or in a whole one.
    pub(crate) fn line(&self, zone: &Zone, width: Option<usize>) -> String {
        let Self { level, event } = self;
        let line = format!(
            "{}{} {} {} {} {} {} {}",
            "  ".repeat((*level).min(10)),
            shown(zone, event.created_at),
            harmless(&event.event_type),
            harmless(event.outcome_text()),
            harmless(&event.actor),
            entity(event, width.is_none()),
            event.id,
            summary::line(event, width.is_none()),
        );
        width.map_or_else(|| line.clone(), |width| elided(&line, width))
    }
}
