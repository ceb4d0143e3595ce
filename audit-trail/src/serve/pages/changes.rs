//! Changes as a difference, by words and colour.

use super::name;
use crate::summary::value;
use audit_runtime::Json;
use audit_runtime::trail::{Change, TrailEvent};
use maud::{Markup, html};

/// Values that stand for something else than themselves.
fn side(json: &Json) -> Markup {
    match json.as_str() {
        Some(mark @ ("[erased]" | "[encrypted]" | "[redacted]")) => html! { span.mark { (mark) } },
        _ => html! { (value(json)) },
    }
}

/// The changes that an event reports. One of one value is a sentence, several are a table.
pub(crate) fn changes(event: &TrailEvent) -> Markup {
    let changes = event.changes();
    html! {
        @match changes.as_slice() {
            [] => {}
            [change] => { section.changes { h2 { "Change" } p { code { (name(&change.path)) } " " (sentence(change)) } } }
            changes => {
                section.changes {
                    h2 { (changes.len()) " changes" }
                    div.scroll role="region" aria-label="Changes" tabindex="0" {
                        table.plain {
                            thead { tr { th scope="col" { "Value" } th scope="col" { "Change" } } }
                            tbody { @for change in changes { tr { th scope="row" { code { (name(&change.path)) } } td { (sentence(change)) } } } }
                        }
                    }
                }
            }
        }
    }
}

fn sentence(change: &Change<'_>) -> Markup {
    html! {
        @match (change.note(), change.from, change.to) {
            (Some(note), ..) => { (side(note)) }
            (_, Some(from), Some(to)) => { "was " del { (side(from)) } ", is " ins { (side(to)) } }
            (_, Some(from), None) => { "was removed: " del { (side(from)) } }
            (_, None, Some(to)) => { "was added: " ins { (side(to)) } }
            (_, None, None) => { "changed" }
        }
    }
}
