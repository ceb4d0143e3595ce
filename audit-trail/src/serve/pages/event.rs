//! One event, with all that it has.

use super::{Shown, changes, evidence, layout, outcome, text, time, tree};
use crate::format::entity_key;
use crate::serve::access::Role;
use crate::serve::evidence::Badge;
use crate::serve::links;
use crate::text::harmless_json;
use crate::timeline::duration;
use audit_runtime::Json;
use audit_runtime::evidence::{Examination, PublicKey};
use audit_runtime::trail::TrailEvent;
use maud::{Markup, html};
use std::collections::HashMap;
use uuid::Uuid;

/// All that the page of an event shows.
pub(crate) struct Content<'a> {
    pub(crate) event: &'a TrailEvent,
    pub(crate) examination: &'a Examination,
    pub(crate) key: Option<&'a PublicKey>,
    /// The events of its request, or those that it caused.
    pub(crate) related: &'a [TrailEvent],
    /// Whether there are more of them.
    pub(crate) has_more: bool,
    pub(crate) altered: &'a HashMap<Uuid, Badge>,
    /// Whether personal values can be shown on request.
    pub(crate) is_revealable: bool,
    /// The reason for which personal values are shown.
    pub(crate) revealed: Option<&'a str>,
    /// The keys of the whole trail that the server's master key does not open, in words.
    pub(crate) loss: Option<&'a str>,
}

/// JSON on several lines, without characters that steer what is around it.
fn json(json: &Json) -> String {
    format!("{json:#}").lines().map(harmless_json).collect::<Vec<_>>().join("\n")
}

/// The page.
pub(crate) fn page(shown: &Shown<'_>, content: &Content<'_>) -> Markup {
    let event = content.event;
    let (word, class) = evidence::verdict(content.examination);
    layout::page(
        &format!("{} {}", crate::text::harmless(&event.event_type), event.id),
        shown,
        &html! {
            section.head {
                p.kind { "Event" }
                h1 { (text(&event.event_type)) " " (outcome(event)) " " span class={ "badge " (class) } { (word) } }
                p.lead { (time(&shown.zone, event.created_at)) " by " a href=(links::actor(&event.actor, shown.question)) { (text(&event.actor)) } }
            }
            @if let Some(reason) = content.revealed {
                p.alarm role="status" { "Personal values are shown, for this reason, which is on record: " q { (text(reason)) } }
            }
            div.columns.detail {
                div {
                    (changes::changes(event))
                    (error(event))
                    section { h2 { "Data" } (block(&event.data, "Data")) }
                    @if let Some(context) = &event.context { section { h2 { "Context" } (block(context, "Context")) } }
                    @if !content.related.is_empty() {
                        section.related {
                            h2 { "In the same request" }
                            (tree::tree(content.related, Some(event.id), content.altered, shown))
                            @if content.has_more { p.hint { "More events belong to this request." } }
                        }
                    }
                }
                div {
                    (evidence::section(event, content.examination, content.key, shown))
                    (fields(event, shown))
                    (reveal(event, content, shown))
                    details.raw { summary { "The row as JSON" } pre { (harmless_json(&serde_json::to_string_pretty(event).unwrap_or_default()).replace("\u{23ce}", "\n")) } p { a href=(format!("/event/{}.json", event.id)) { "As a document" } } }
                }
            }
        },
    )
}

fn block(value: &Json, name: &str) -> Markup {
    html! { div.scroll role="region" aria-label=(name) tabindex="0" { pre { (json(value)) } } }
}

/// Why the call failed, with its causes.
fn error(event: &TrailEvent) -> Markup {
    let Some(error) = event.data.get("error") else {
        return html! {};
    };
    let message = error.get("message").and_then(Json::as_str).or_else(|| error.as_str());
    let causes = error.get("causes").and_then(Json::as_array).unwrap_or_default();
    html! {
        section.error {
            h2 { "Error" }
            p.message { @if let Some(message) = message { (text(message)) } @else { (harmless_json(&error.to_string())) } }
            @if !causes.is_empty() {
                ol.causes { @for cause in causes { li { "because " @if let Some(cause) = cause.as_str() { (text(cause)) } @else { (harmless_json(&cause.to_string())) } } } }
            }
        }
    }
}

/// Each column.
fn fields(event: &TrailEvent, shown: &Shown<'_>) -> Markup {
    let targets = event.targets.as_ref().and_then(Json::as_array).unwrap_or_default();
    let target = |target: &Json| {
        let key = target.get("key").or_else(|| target.get("id"))?.as_str()?.to_owned();
        Some((target.get("type")?.as_str()?.to_owned(), key))
    };
    let row = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    let id = |id: Uuid| html! { code.id { (id) } };
    html! {
        section.fields {
            h2 { "Fields" }
            dl.fields {
                (row("id", id(event.id)))
                (row("entity", html! { (super::list::entity(event, shown)) @if let Some(key) = entity_key(event).filter(|key| crate::format::is_uuid(key)) { " " code.id { (text(&key)) } } }))
                @if let (Some(entity_id), Some(_)) = (event.entity_id, &event.entity_key) { (row("entity id", id(entity_id))) }
                @if let Some(tenant) = &event.tenant { (row("tenant", html! { a href=(links::tenant(tenant, shown.question)) { (text(tenant)) } })) }
                @for (kind, key) in targets.iter().filter_map(target) {
                    (row("also about", html! { a href=(links::entity(&kind, &key, shown.question)) { (text(&kind)) " " (text(&key)) } }))
                }
                @if let Some(took) = event.duration_us { (row("took", html! { (duration(took)) })) }
                @if let Some(correlation) = event.correlation_id { (row("correlation", html! { a href=(links::correlation(correlation, shown.question)) { (id(correlation)) } })) }
                @if let Some(cause) = event.causation_id { (row("cause", html! { a href=(links::event(cause, shown.question)) { (id(cause)) } })) }
                @if let Some(origin) = &event.origin { (row("recorded by", text(origin))) }
                @if let Some(batch) = event.batch_id { (row("batch", evidence::linked(&links::batch(batch, shown.question), &id(batch), shown))) }
            }
        }
    }
}

/// The form by which personal values are shown, to viewers who may see them.
fn reveal(event: &TrailEvent, content: &Content<'_>, shown: &Shown<'_>) -> Markup {
    let holds = |mark: &str| {
        let quoted = format!("\"{mark}\"");
        event.data.to_string().contains(&quoted)
            || event.actor == mark
            || event.context.as_ref().is_some_and(|context| context.to_string().contains(&quoted))
    };
    html! {
        @if holds("[erased]") { p.hint { span.mark { "[erased]" } " stands for values whose keys were destroyed. Events audit.forgotten state when and by whom." } }
        @if content.revealed.is_some() && holds("[encrypted]") {
            p.alarm {
                "The server's master key does not open the values shown as " span.mark { "[encrypted]" } "."
                @if let Some(loss) = content.loss { " In the whole trail, " (text(loss)) "." }
            }
        }
        @if content.revealed.is_none() && holds("[encrypted]") {
            section.reveal {
                h2 { "Personal values" }
                @if content.is_revealable && shown.viewer.has(Role::Reveal) {
                    form action={ "/event/" (event.id) "/reveal" } method="get" {
                        label for="reason" { "Reason, which is recorded with your name" }
                        input #reason name="reason" required minlength="3" maxlength="500" autocomplete="off";
                        button { "Show personal values" }
                    }
                } @else {
                    p.hint { "Values shown as " span.mark { "[encrypted]" } " are personal. Your access does not include them." }
                }
            }
        }
    }
}
