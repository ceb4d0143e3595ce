//! A list of events.

use super::{Shown, counted, outcome, text, time};
use crate::format::entity_key;
use crate::serve::evidence::Badge;
use crate::serve::links;
use crate::serve::question::{Order, Side};
use crate::serve::read::Listed;
use crate::summary;
use crate::timeline::duration;
use audit_runtime::trail::TrailEvent;
use maud::{Markup, html};
use std::collections::HashMap;
use uuid::Uuid;

/// The badges of a list's events.
pub(crate) type Badges = HashMap<Uuid, Badge>;

/// An event's evidence in a list.
pub(crate) fn badge(badge: Option<&Badge>) -> Markup {
    let Some(badge) = badge else {
        return html! { span.badge.waiting { "unknown" } };
    };
    let why = if let Badge::Altered { why } = badge { Some(why) } else { None };
    html! { span class={ "badge " (badge.class()) } title=[why] { (badge.words()) } }
}

/// An entity as a link to its timeline.
pub(crate) fn entity(event: &TrailEvent, shown: &Shown<'_>) -> Markup {
    let key = entity_key(event);
    let words = html! {
        span.kind { (text(&event.entity_type)) }
        @if let Some(key) = &key { " " span.key title=(crate::text::harmless(key)) { (super::key(key)) } }
    };
    match links::entity_of(event, shown.question) {
        Some(link) => html! { a href=(link) { (words) } },
        None => words,
    }
}

/// One event as a row.
pub(crate) fn row(event: &TrailEvent, evidence: Option<&Badge>, shown: &Shown<'_>) -> Markup {
    html! {
        tr.event data-id=(event.id) {
            td.when { a.open href=(links::event(event.id, shown.question)) { (time(&shown.zone, event.created_at)) } }
            td.how { (outcome(event)) @if let Some(took) = event.duration_us { " " span.took { (duration(took)) } } }
            td.type { (super::name(&event.event_type)) }
            td.entity { (entity(event, shown)) }
            td.actor { a href=(links::actor(&event.actor, shown.question)) { (text(&event.actor)) } }
            td.what { div { (summary::line(event, false)) } }
            td.proof { (badge(evidence)) }
        }
    }
}

/// The table, with the links to what is before and behind it.
pub(crate) fn table(listed: &Listed, badges: &Badges, shown: &Shown<'_>, caption: &str) -> Markup {
    let (order, other) = shown.order();
    let count = counted(listed.events.len() as u64, "event", "events");
    html! {
        div.listhead {
            h2 #list { (count) ", " (order) }
            @if shown.path == "/" && shown.question.side.is_none() && shown.question.order == Order::Newest {
                // The script shows it: without one, a reload does the same.
                p.live data-tail=(links::with_query("/tail", &shown.question.at(None))) hidden {
                    span #tail-state role="status" {}
                    button.quiet #tail type="button" aria-pressed="false" { "Follow what arrives" }
                }
            }
            p.actions {
                a href=(links::reversed(shown.path, shown.question)) { "show " (other) }
                @if !listed.events.is_empty() {
                    @let checked = crate::serve::question::Question { check: true, ..shown.question.clone() };
                    a.check href=(links::with_query(shown.path, &checked)) { "check these " (listed.events.len()) }
                }
            }
        }
        div.scroll role="region" aria-labelledby="list" tabindex="0" {
            table.events {
                caption { (caption) }
                thead {
                    tr {
                        @for (name, class) in [
                            ("Time", "when"), ("Outcome", "how"), ("Event", "type"), ("Entity", "entity"), ("Actor", "actor"),
                            ("What", "what"), ("Evidence", "proof"),
                        ] { th scope="col" class=(class) { (name) } }
                    }
                }
                tbody #events { @for event in &listed.events { (row(event, badges.get(&event.id), shown)) } }
            }
        }
        (end(listed, shown))
    }
}

/// The end of a list: how far it has looked, and the links that go on.
pub(crate) fn end(listed: &Listed, shown: &Shown<'_>) -> Markup {
    html! { (looked(listed, shown)) (pages(listed, shown)) }
}

/// How far a search has looked before its time was over, and the link that goes on from there.
fn looked(listed: &Listed, shown: &Shown<'_>) -> Markup {
    let Some(further) = listed.looked else {
        return html! {};
    };
    let direction = if matches!(further.side, Side::Older(_)) { "down" } else { "up" };
    let found = if shown.question.side.is_some() { "on this page" } else { "so far" };
    html! {
        p.looked {
            "Looked at events " (direction) " to " (time(&shown.zone, further.up_to)) "; "
            (listed.events.len()) " found " (found) ". "
            a href=(links::with_query(shown.path, &shown.question.further(further.side))) { "Look further" }
        }
    }
}

/// The links to older and newer events.
fn pages(listed: &Listed, shown: &Shown<'_>) -> Markup {
    let link = |side| links::with_query(shown.path, &shown.question.at(Some(side)));
    html! {
        @if listed.older.is_some() || listed.newer.is_some() || shown.question.side.is_some() {
            nav.pages aria-label="Pages of this list" {
                @if let Some(side) = listed.newer { a rel="prev" href=(link(side)) { "newer" } }
                @if shown.question.side.is_some() { a href=(links::with_query(shown.path, &shown.question.at(None))) { "to the beginning" } }
                @if let Some(side) = listed.older { a rel="next" href=(link(side)) { "older" } }
            }
        }
    }
}
