//! The state of the trail.

use super::{Shown, counted, layout, number, text};
use crate::serve::health::Health;
use crate::serve::links;
use crate::status::{time as ago, times};
use maud::{Markup, html};

/// The page.
pub(crate) fn page(shown: &Shown<'_>, health: &Health) -> Markup {
    let status = &health.status;
    layout::page(
        "Status",
        shown,
        &html! {
            section.head { h1 { "Status" } p.lead { "As the database states it at " (moment(&status.at, shown)) } }
            section.health {
                @if health.problems.is_empty() {
                    p { span.badge.verified { "healthy" } " Nothing needs attention." }
                } @else {
                    h2 { (counted(health.problems.len() as u64, "matter needs", "matters need")) " attention" }
                    ul { @for problem in &health.problems { li { (text(problem)) } } }
                }
            }
            div.cards {
                (card("Calls under way", &number(status.in_flight.calls.cast_unsigned()), status.in_flight.oldest.as_deref().map(|at| html! { "the oldest since " (moment(at, shown)) })))
                (card("Quarantine", &number(status.quarantine.events.cast_unsigned()), None))
                (card("Last checkpoint", &ago(status.seal.last_checkpoint_age_seconds), Some(html! { "ago; " (counted(status.seal.batches_since.cast_unsigned(), "batch", "batches")) " since then" })))
                (card("Not sealed yet", &number(status.seal.unsealed_rows.cast_unsigned()), Some(html! { "events without a batch" })))
                (card("Writers connected", &number(status.connections.cast_unsigned()), None))
                (card("Found altered here", &number(health.altered as u64), Some(html! { "since this server started" })))
            }
            section {
                h2 { "Writers of the last day" }
                div.scroll role="region" aria-label="Writers" tabindex="0" {
                    table.plain.wide {
                        thead { tr { @for name in ["Process", "Last batch", "Lag"] { th scope="col" { (name) } } @for name in ["Events", "Batches"] { th scope="col" .number { (name) } } } }
                        tbody { @for writer in &status.writers {
                            tr { th scope="row" { (text(&writer.origin)) } td { (ago(writer.last_batch_age_seconds)) " ago" } td { (ago(writer.lag_seconds)) }
                                td.number { (number(writer.events.cast_unsigned())) } td.number { (number(writer.batches.cast_unsigned())) } }
                        } }
                    }
                }
                @if status.writers.is_empty() { p.hint { "No process stored events within the last day." } }
            }
            section {
                h2 { "Partitions" }
                div.scroll role="region" aria-label="Partitions" tabindex="0" {
                    table.plain.wide {
                        thead { tr { @for name in ["Partition", "Times"] { th scope="col" { (name) } } @for name in ["Events", "Size"] { th scope="col" .number { (name) } } } }
                        tbody { @for partition in &status.partitions {
                            tr { th scope="row" { (text(&partition.name)) } td { (text(&times(&partition.bounds))) }
                                td.number { @if partition.rows_are_estimated { "about " } (number(partition.rows.cast_unsigned())) }
                                td.number { (indicatif::HumanBytes(partition.bytes.cast_unsigned()).to_string()) } }
                        } }
                    }
                }
            }
            @if !health.gaps.is_empty() {
                section {
                    h2 { "Gaps: events that a full journal refused" }
                    ul { @for gap in &health.gaps { li { a href=(links::event(gap.id, shown.question)) { (super::time(&shown.zone, gap.created_at)) } " " (crate::summary::line(gap, false)) } } }
                }
            }
            section {
                h2 { "Verification" }
                p { "A verification of the whole trail is a command, whose report stays with the person who runs it: " code { "audit-trail verify --public-key KEY" } "." }
                p.hint { a href="/status.json" { "As JSON" } }
            }
        },
    )
}

fn card(name: &str, value: &str, more: Option<Markup>) -> Markup {
    html! { div.card { p.name { (name) } p.value { (value) } @if let Some(more) = more { p.more { (more) } } } }
}

/// A time that is stated as a text.
fn moment(text: &str, shown: &Shown<'_>) -> Markup {
    match text.parse() {
        Ok(at) => super::time(&shown.zone, at),
        Err(_) => super::text(text),
    }
}
