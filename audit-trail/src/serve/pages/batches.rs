//! Batches: the list, and the head of one.

use super::{Shown, counted, layout, number, text, time};
use crate::serve::links;
use crate::serve::sealed::{Batch, Batches};
use maud::{Markup, html};

/// The state of a batch in words.
fn state(batch: &Batch) -> Markup {
    html! {
        @match (batch.checkpoint, batch.is_sealed) {
            (Some(_), _) => span.badge.covered { "covered" },
            (None, true) => span.badge.waiting { "not yet covered" },
            (None, false) => span.badge.altered { "without a seal" },
        }
        @if batch.pruned > 0 { " " span.badge.waiting { (number(batch.pruned)) " pruned" } }
    }
}

/// The list of batches, newest first.
pub(crate) fn page(shown: &Shown<'_>, batches: &Batches) -> Markup {
    layout::page(
        "Batches",
        shown,
        &html! {
            section.head { h1 { "Batches" } p.lead { "Consecutive events of one process, sealed together. Newest first." } }
            div.scroll role="region" aria-label="Batches" tabindex="0" {
                table.plain.wide {
                    caption { "Batches as they arrived" }
                    thead { tr { @for name in ["Arrived", "Batch", "Recorded by", "Evidence"] { th scope="col" { (name) } } th scope="col" .number { "Events" } } }
                    tbody {
                        @for batch in &batches.rows {
                            tr {
                                td { (time(&shown.zone, batch.created_at)) }
                                td { a href=(links::batch(batch.id, shown.question)) { code.id { (batch.id) } } }
                                td { (text(&batch.origin)) }
                                td { (state(batch)) }
                                td.number { (number(batch.rows)) }
                            }
                        }
                    }
                }
            }
            @if batches.rows.is_empty() { div.empty { p { strong { "No batch is stored." } } } }
            @if let Some(before) = &batches.before { nav.pages aria-label="Pages of this list" { a rel="next" href={ "/batches?before=" (before) } { "older" } } }
            p.hint { a href="/batches.json" { "As JSON" } }
        },
    )
}

/// The facts about one batch, above its events.
pub(crate) fn head(batch: &Batch, shown: &Shown<'_>) -> Markup {
    let row = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    html! {
        section.fields {
            dl.fields {
                (row("state", state(batch)))
                (row("arrived", time(&shown.zone, batch.created_at)))
                (row("events", html! { (counted(batch.rows, "event", "events")) }))
                (row("recorded by", text(&batch.origin)))
                (row("journal", html! { code.id { (batch.journal_id) } ", bytes " (batch.first_position) " to " (batch.end_position) }))
                @if let Some(root) = &batch.root { (row("root", html! { code.id { (root) } })) }
                @if let Some(previous) = &batch.previous_root { (row("root before", html! { code.id { (previous) } })) }
                @if let Some(number) = batch.number { (row("number in the tree", html! { (number) })) }
                @if let Some(checkpoint) = batch.checkpoint { (row("covered by", html! { a href=(links::checkpoint(checkpoint, shown.question)) { "checkpoint " (checkpoint) } })) }
                @if batch.pruned > 0 { (row("pruned", html! { (counted(batch.pruned, "event was", "events were")) " pruned. Events audit.pruned state why." })) }
            }
        }
    }
}
