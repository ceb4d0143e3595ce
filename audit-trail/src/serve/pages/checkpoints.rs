//! Checkpoints: the list, and one.

use super::{Shown, counted, layout, number, text, time};
use crate::serve::links;
use crate::serve::sealed::Checkpoint;
use maud::{Markup, html};

/// The list of checkpoints, newest first.
pub(crate) fn page(shown: &Shown<'_>, checkpoints: &[Checkpoint]) -> Markup {
    layout::page(
        "Checkpoints",
        shown,
        &html! {
            section.head { h1 { "Checkpoints" } p.lead { "Signed statements of the whole trail at one time. Newest first." } }
            div.scroll role="region" aria-label="Checkpoints" tabindex="0" {
                table.plain.wide {
                    caption { "Checkpoints in the database" }
                    thead { tr { @for name in ["Number", "Made", "Signature"] { th scope="col" { (name) } } th scope="col" .number { "Batches" } } }
                    tbody {
                        @for checkpoint in checkpoints {
                            tr {
                                td { a href=(links::checkpoint(checkpoint.id, shown.question)) { "checkpoint " (checkpoint.id) } }
                                td { (time(&shown.zone, checkpoint.created_at)) }
                                td { (signature(checkpoint)) }
                                td.number { (number(checkpoint.batches)) }
                            }
                        }
                    }
                }
            }
            @if checkpoints.is_empty() { div.empty { p { strong { "No checkpoint was made yet." } } p { "Make one: " code { "audit-trail checkpoint" } } } }
            p.hint { a href="/checkpoints.json" { "As JSON" } }
        },
    )
}

fn signature(checkpoint: &Checkpoint) -> Markup {
    html! {
        @match &checkpoint.signature {
            Some(Ok(name)) => { span.badge.verified { "verified" } " " (text(name)) }
            Some(Err(why)) => { span.badge.altered { "ALTERED" } " " (text(why)) }
            None => span.badge.waiting { "not checked: no public key was given" },
        }
    }
}

/// One checkpoint.
pub(crate) fn one(shown: &Shown<'_>, checkpoint: &Checkpoint) -> Markup {
    layout::page(
        &format!("Checkpoint {}", checkpoint.id),
        shown,
        &html! {
            section.head {
                p.kind { "Checkpoint" }
                h1 { "Checkpoint " (checkpoint.id) }
                p.lead { "Made " (time(&shown.zone, checkpoint.created_at)) ", over " (counted(checkpoint.batches, "batch", "batches")) }
            }
            section { h2 { "Signature" } p { (signature(checkpoint)) } }
            section {
                h2 { "The signed note" }
                pre.note { (crate::text::harmless_lines(&checkpoint.note)) }
                p.hint { "Compare it with the copy that was kept elsewhere. A copy in this database proves nothing alone." }
                p.hint { a href=(format!("/checkpoint/{}.json", checkpoint.id)) { "As JSON" } }
            }
        },
    )
}
