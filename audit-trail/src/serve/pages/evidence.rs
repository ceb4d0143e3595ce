//! The evidence of one event, as it was checked for this page.

use super::{Shown, counted, number, time};
use crate::serve::links;
use audit_runtime::evidence::{Check, Examination, PublicKey};
use audit_runtime::trail::TrailEvent;
use maud::{Markup, html};

/// The verdict in one word, and its look.
pub(crate) fn verdict(examination: &Examination) -> (&'static str, &'static str) {
    match (examination.failure(), examination.is_proven(), &examination.row) {
        (Some(_), ..) => ("ALTERED", "altered"),
        (None, true, _) => ("verified", "verified"),
        (None, false, Check::Passed) => ("verified, not yet covered", "waiting"),
        _ => ("not sealed yet", "waiting"),
    }
}

fn step(check: &Check, name: &str, passed: &Markup) -> Markup {
    let (class, word) = match check {
        Check::Passed => ("verified", "passed"),
        Check::Failed(_) => ("altered", "FAILED"),
        _ => ("waiting", "not checked"),
    };
    html! {
        li {
            span class={ "badge " (class) } { (word) } " "
            strong { (name) } ": "
            @match check {
                Check::Passed => { (passed) }
                Check::Failed(why) => { (crate::text::harmless(why)) }
                Check::Waiting(why) => { (*why) }
                _ => {}
            }
        }
    }
}

/// A link to a page of the whole trail, which a viewer of a part of it cannot open.
pub(super) fn linked(path: &str, words: &Markup, shown: &Shown<'_>) -> Markup {
    html! { @if shown.viewer.scope.is_of_all() { a href=(path) { (words) } } @else { (words) } }
}

/// The section of an event's page.
pub(crate) fn section(
    event: &TrailEvent,
    examination: &Examination,
    key: Option<&PublicKey>,
    shown: &Shown<'_>,
) -> Markup {
    let (word, class) = verdict(examination);
    let coverage = examination.coverage.as_ref();
    html! {
        section.evidence class=(class) {
            h2 { "Evidence: " (word) }
            @if let Some(why) = examination.failure() {
                p.alarm role="alert" { strong { "ALTERED: " } (crate::text::harmless(why)) ". Run " code { "audit-trail verify" } " for the whole trail, and compare with an archive or a replica." }
            }
            ol.steps {
                (step(&examination.row, "Row", &html! { "the row has the digest that was sealed" }))
                (step(&examination.batch, "Batch", &html! {
                    "the " (counted(examination.leaves, "leaf leads", "leaves lead")) " to the root of "
                    @if let Some(coverage) = coverage { (linked(&links::batch(coverage.batch_id, shown.question), &html! { "the batch" }, shown)) ", sealed " @if coverage.is_late { "late, " } (time(&shown.zone, coverage.sealed_at)) }
                }))
                (step(&examination.tree, "Tree", &html! {
                    @if let (Some(at), Some(checkpoint)) = (examination.tree_number, &examination.checkpoint) {
                        "batch number " (number(at)) " leads to the root of "
                        (linked(&links::checkpoint(checkpoint.id, shown.question), &html! { "checkpoint " (checkpoint.id) }, shown)) " over " (counted(checkpoint.batches, "batch", "batches")) ", made " (time(&shown.zone, checkpoint.time))
                    }
                }))
                (step(&examination.signature, "Signature", &html! {
                    "the checkpoint is signed by " @if let Some(key) = key { code { (key.name()) } }
                }))
            }
            details {
                summary { "Check it elsewhere" }
                p { "This server checked the event just now. A server shows what it likes, so do not rely on this page alone." }
                ol {
                    @if examination.proof.is_some() {
                        li { a href={ "/event/" (event.id) "/proof.json" } download={ "proof-" (event.id) ".json" } { "Download the proof" } ", which contains the event." }
                        li { "Check it with a key that reached you by another way: " code { "audit-trail verify --proof proof-" (event.id) ".json --public-key KEY" } }
                    } @else {
                        li { "There is no proof to download: the event is not covered by a checkpoint, or differs from its seal." }
                    }
                    @if let Some(checkpoint) = &examination.checkpoint {
                        li { "Compare this checkpoint with the copy that was kept elsewhere:" pre.note { (crate::text::harmless_lines(&checkpoint.note)) } }
                    }
                }
            }
        }
    }
}
