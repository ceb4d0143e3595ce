//! The catalogue: each service's audited functions, with their fields and rules.

use super::{Shown, counted, layout, name, text, time};
use crate::catalogue::{Listed, Service};
use crate::serve::links;
use maud::{Markup, html};

/// The page.
pub(crate) fn page(shown: &Shown<'_>, services: &[Service<'_>]) -> Markup {
    layout::page(
        "Catalogue",
        shown,
        &html! {
            section.head { h1 { "Catalogue" } p.lead { "The functions that each service audits, by its newest version. Services store it themselves." } }
            @for service in services { (section(service, shown)) }
            @if services.is_empty() {
                div.empty {
                    p { strong { "No service has stored a catalogue." } }
                    p { "A service does so after its first events, if its role may. This grants the right: " code { "audit-trail migrate --writer ROLE" } }
                }
            }
            p.hint { a href="/catalogue.json" { "As JSON" } }
        },
    )
}

fn section(service: &Service<'_>, shown: &Shown<'_>) -> Markup {
    html! {
        section {
            h2 { (text(service.name)) " " (text(&service.version)) }
            p.hint {
                "First seen " (time(&shown.zone, service.first_seen_at)) ": " (counted(service.functions.len() as u64, "function", "functions"))
                ", " (service.personal()) " with personal data"
            }
            div.scroll role="region" aria-label={ "Functions of " (crate::text::harmless(service.name)) } tabindex="0" {
                table.plain.wide.catalogue {
                    thead { tr { @for name in ["Function", "Events", "Fields", "Recorded", "Policy in force", "Versions"] { th scope="col" { (name) } } } }
                    tbody { @for listed in service.functions { (function(listed, shown)) } }
                }
            }
        }
    }
}

fn function(listed: &Listed<'_>, shown: &Shown<'_>) -> Markup {
    let function = listed.function;
    let recorded = |event: &str| {
        links::search(&shown.question.plain().with(|question| question.selection.event = vec![event.to_owned()]))
    };
    html! {
        tr {
            th scope="row" { code { (name(&function.function)) } " " span.took { (text(&function.file)) ":" (function.line) } }
            td {
                ul {
                    @for event in &function.events { li { a href=(recorded(event)) { (name(event)) } } }
                    @if function.has_late_events { li { "decided by the call" } }
                }
                @if let Some(entity) = &function.entity_type { span.took { "about " (text(entity)) } }
            }
            td {
                @if function.fields.is_empty() { "none" } @else {
                    ul { @for field in &function.fields { li class=[field.is_personal.then_some("personal")] { (text(&field.to_string())) } } }
                }
            }
            td {
                (function.guarantee)
                @if function.is_in_transaction { ", in the caller\u{2019}s transaction" }
                @if function.is_conditional { ", under a condition" }
            }
            td { @if listed.rules.is_empty() { "no rule" } @else { ul { @for rule in &listed.rules { li { (text(rule)) } } } } }
            td { (text(&listed.versions())) }
        }
    }
}
