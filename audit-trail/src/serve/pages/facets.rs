//! Counts of values, each a link that narrows the question.

use super::{Shown, number};
use crate::serve::links;
use crate::serve::question::Question;
use crate::serve::read::Counts;
use audit_runtime::trail::Facet;
use maud::{Markup, html};

const FACETS: [(Facet, &str); 5] = [
    (Facet::EventType, "Event"),
    (Facet::Outcome, "Outcome"),
    (Facet::Actor, "Actor"),
    (Facet::EntityType, "Entity type"),
    (Facet::Tenant, "Tenant"),
];

/// Values that are shown at once, before the others.
const FIRST: usize = 8;

/// The question with a value of a column as a further condition.
fn narrowed(question: &Question, facet: Facet, value: &str) -> Question {
    question.with(|question| {
        let selection = &mut question.selection;
        let value = value.to_owned();
        match facet {
            Facet::EventType => selection.event = vec![value],
            Facet::Outcome => selection.outcome = vec![value],
            Facet::Actor => selection.actor = Some(value),
            Facet::EntityType => selection.entity_type = Some(value),
            _ => selection.tenant = Some(value),
        }
    })
}

/// The counts of all columns.
pub(crate) fn facets(counts: &Counts, shown: &Shown<'_>) -> Markup {
    let Some(facets) = &counts.facets else {
        let counting = Question { count: true, ..shown.question.clone() };
        return html! {
            section.facets aria-label="Counts" {
                p.hint { "Values are not counted: that takes longer than a first look. " a href=(links::search(&counting)) { "Count them" } }
            }
        };
    };
    html! {
        section.facets aria-label="Counts" {
            h2.hidden { "Counts" }
            @for (facet, name) in FACETS {
                @let values: Vec<_> = facets.iter().filter(|count| count.facet == facet).collect();
                @if !values.is_empty() {
                    div.facet {
                        h3 { (name) }
                        ul { @for count in values.iter().take(FIRST) { (value(count.facet, &count.value, count.events, shown)) } }
                        @if values.len() > FIRST {
                            details {
                                summary { (values.len() - FIRST) " more" }
                                ul { @for count in values.iter().skip(FIRST) { (value(count.facet, &count.value, count.events, shown)) } }
                            }
                        }
                    }
                }
            }
            p.hint { "Counted among the newest " (number(counts.among.into())) " events that match." }
        }
    }
}

fn value(facet: Facet, value: &str, events: u64, shown: &Shown<'_>) -> Markup {
    html! {
        li { a href=(links::search(&narrowed(shown.question, facet, value))) { span.value { @if value.is_empty() { "(empty)" } @else { (super::name(value)) } } " " span.count { (number(events)) } } }
    }
}
