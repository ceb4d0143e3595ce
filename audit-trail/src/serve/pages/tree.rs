//! The events of a request as a tree: each within the call that caused it.

use super::{Shown, counted, outcome, text};
use crate::serve::evidence::Badge;
use crate::serve::links;
use crate::summary;
use crate::timeline::shown as local;
use audit_runtime::trail::TrailEvent;
use maud::{Markup, html};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Levels that are open at first.
const OPEN: usize = 3;
/// A tree that is deeper goes on at this level, without further indents.
const DEEPEST: usize = 24;

/// The tree of these events, with one of them marked.
pub(crate) fn tree(
    events: &[TrailEvent],
    marked: Option<Uuid>,
    altered: &HashMap<Uuid, Badge>,
    shown: &Shown<'_>,
) -> Markup {
    let ids: HashSet<Uuid> = events.iter().map(|event| event.id).collect();
    let mut children: HashMap<Option<Uuid>, Vec<&TrailEvent>> = HashMap::new();
    for event in events {
        // A cause that is not among them is unknown here.
        let cause = event.causation_id.filter(|cause| ids.contains(cause) && *cause != event.id);
        children.entry(cause).or_default().push(event);
    }
    let mut tree = Tree { children, altered, shown, marked, seen: HashSet::new() };
    let (roots, _) = tree.level(None, 0);
    // Events that cause each other in a circle hang from none.
    let rest: Vec<&TrailEvent> = events.iter().filter(|event| !tree.seen.contains(&event.id)).collect();
    html! {
        (roots)
        @if !rest.is_empty() {
            p.hint { "These name each other as their cause:" }
            ul.tree { @for event in rest { li { (tree.line(event)) } } }
        }
    }
}

struct Tree<'a> {
    children: HashMap<Option<Uuid>, Vec<&'a TrailEvent>>,
    altered: &'a HashMap<Uuid, Badge>,
    shown: &'a Shown<'a>,
    marked: Option<Uuid>,
    seen: HashSet<Uuid>,
}

impl Tree<'_> {
    /// The events within a cause, and how many there are.
    fn level(&mut self, cause: Option<Uuid>, level: usize) -> (Markup, u64) {
        let events = self.children.remove(&cause).unwrap_or_default();
        let mut items = Vec::with_capacity(events.len());
        for event in events {
            if !self.seen.insert(event.id) {
                continue;
            }
            let line = self.line(event);
            let (below, within) = if level < DEEPEST { self.level(Some(event.id), level + 1) } else { (html! {}, 0) };
            items.push((event.id, line, below, within));
        }
        let tree = html! {
            @if !items.is_empty() {
                ul.tree {
                    @for (id, line, below, within) in &items {
                        li aria-current=[(Some(*id) == self.marked).then_some("true")] {
                            (line)
                            // No link may stand within what opens and closes.
                            @if *within > 0 { details open[level < OPEN] { summary { (counted(*within, "event", "events")) " within" } (below) } }
                        }
                    }
                }
            }
        };
        (tree, items.len() as u64)
    }

    fn line(&self, event: &TrailEvent) -> Markup {
        let is_marked = Some(event.id) == self.marked;
        html! {
            span.line {
                span.at { (local(&self.shown.zone, event.created_at)) } " "
                @if is_marked { strong.type { (text(&event.event_type)) " (this event)" } }
                @else { a.type href=(links::event(event.id, self.shown.question)) { (text(&event.event_type)) } }
                " " (outcome(event)) " "
                @if let Some(badge @ Badge::Altered { .. }) = self.altered.get(&event.id) { (super::list::badge(Some(badge))) " " }
                span.what { (summary::line(event, false)) }
            }
        }
    }
}
