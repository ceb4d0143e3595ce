//! The search: a form with every filter, counts, and the list.

use super::list::{Badges, end, table};
use super::{Shown, counted, facets, histogram, layout, text, time};
use crate::serve::access::Role;
use crate::serve::evidence::Badge;
use crate::serve::links;
use crate::serve::question::{Question, Within};
use crate::serve::read::{Counts, Listed};
use audit_runtime::trail::FoundEvent;
use maud::{Markup, html};

/// The page of a search.
pub(crate) fn page(shown: &Shown<'_>, listed: &Listed, badges: &Badges, counts: &Counts) -> Markup {
    let question = shown.question;
    layout::page(
        "Search",
        shown,
        &html! {
            h1.hidden { "Search the trail" }
            (form(question))
            (chips(question))
            (histogram::histogram(counts, shown))
            div.columns {
                (facets::facets(counts, shown))
                section.results {
                    (table(listed, badges, shown, "Events that match, with the evidence of each"))
                    @if listed.is_empty() { (nothing(question)) }
                    (tools(shown))
                }
            }
        },
    )
}

/// The page of a search for a text.
pub(crate) fn found(shown: &Shown<'_>, found: &[FoundEvent], listed: &Listed, badges: &Badges) -> Markup {
    let question = shown.question;
    let is_of_keys = question.within == Some(Within::Keys);
    let place = if is_of_keys { "the text as a key, an id or a name" } else { "the text in a value" };
    layout::page(
        "Search",
        shown,
        &html! {
            h1.hidden { "Search the trail" }
            (form(question))
            (chips(question))
            section.results {
                div.listhead { h2 #list { (counted(found.len() as u64, "event has ", "events have ")) (place) } }
                div.scroll role="region" aria-labelledby="list" tabindex="0" {
                    table.events {
                        caption { "Events that have " (place) ", newest first" }
                        thead {
                            tr { @for (name, class) in [("Time", "when"), ("Outcome", "how"), ("Event", "type"), ("Entity", "entity"), ("Actor", "actor"), ("Where", "what"), ("Evidence", "proof")] {
                                th scope="col" class=(class) { (name) } } }
                        }
                        tbody { @for found in found { (found_row(found, badges.get(&found.event.id), shown)) } }
                    }
                }
                (end(listed, shown))
                @if is_of_keys {
                    p { a href=(links::search(&question.within(Within::Values))) { "Look for it in values, too" } }
                } @else if listed.is_empty() {
                    (nothing(question))
                } @else if listed.older.is_none() && listed.looked.is_none() {
                    p.hint { "The search looked at all values of the range." }
                }
            }
        },
    )
}

fn found_row(found: &FoundEvent, badge: Option<&Badge>, shown: &Shown<'_>) -> Markup {
    let event = &found.event;
    html! {
        tr.event data-id=(event.id) {
            td.when { a.open href=(links::event(event.id, shown.question)) { (time(&shown.zone, event.created_at)) } }
            td.how { (super::outcome(event)) }
            td.type { (super::name(&event.event_type)) }
            td.entity { (super::list::entity(event, shown)) }
            td.actor { (text(&event.actor)) }
            td.what {
                @let note = crate::find::note(shown.question.find.as_deref().unwrap_or_default(), found);
                div { @if note.is_empty() { (crate::summary::line(event, false)) } @else { (note) } }
            }
            td.proof { (super::list::badge(badge)) }
        }
    }
}

/// A field of the form.
fn field(name: &str, label: &str, hint: &str, value: Option<&str>) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) value=[value] placeholder=(hint) autocomplete="off" spellcheck="false";
        }
    }
}

/// The form. Fields that are given several times keep one line each.
fn form(question: &Question) -> Markup {
    let selection = &question.selection;
    let pair = |entity: &Option<(String, String)>| entity.as_ref().map(|(kind, key)| format!("{kind}:{key}"));
    let id = |id: Option<uuid::Uuid>| id.map(|id| id.to_string());
    let further = [
        ("entity_type", "Entity type", "account", selection.entity_type.clone()),
        ("target", "Further entity", "invoice:7", pair(&selection.target)),
        ("correlation", "Correlation", "a UUID", id(selection.correlation)),
        ("causation", "Within the call", "a UUID", id(selection.causation)),
        ("batch", "Batch", "a UUID", id(question.batch)),
        ("entity_id", "Entity\u{2019}s UUID", "a UUID", id(selection.entity_id)),
        ("origin", "Recorded by", "desk@*", selection.origin.clone()),
        ("tz", "Time zone", "Europe/Berlin", question.tz.clone()),
    ];
    let is_open =
        further.iter().take(7).any(|(.., value)| value.is_some()) || !selection.context.is_empty() || question.own;
    html! {
        form #search.search action="/" method="get" role="search" {
            div.inputs {
                (field("find", "Text anywhere", "INV-2026-0007", question.find.as_deref()))
                (several("event", "Event type", "order.*", &selection.event))
                (field("entity", "Entity", "account:42", pair(&selection.entity).as_deref()))
                (field("actor", "Actor", "user:ada", selection.actor.as_deref()))
                (field("tenant", "Tenant", "acme", selection.tenant.as_deref()))
                (several("outcome", "Outcome", "error", &selection.outcome))
                (field("since", "Since", "2h or 2026-05-04", selection.since.as_deref()))
                (field("until", "Until", "now", selection.until.as_deref()))
                @let conditions: Vec<_> = selection.conditions.iter().map(|condition| condition.text.clone()).collect();
                (several("where", "Data contain", "ticker=AAPL", &conditions))
            }
            details open[is_open] {
                summary { "More conditions" }
                div.inputs {
                    @for (name, label, hint, value) in &further { (field(name, label, hint, value.as_deref())) }
                    @let context: Vec<_> = selection.context.iter().map(|condition| condition.text.clone()).collect();
                    (several("context", "Context contains", "ip=10.0.0.7", &context))
                    div.field.choice {
                        input #own type="checkbox" name="own" value="1" checked[question.own];
                        label for="own" { "With the page\u{2019}s own events" }
                    }
                }
            }
            @if question.order == crate::serve::question::Order::Oldest { input type="hidden" name="order" value="oldest"; }
            div.buttons { button.primary { "Search" } a href="/" { "Clear" } }
        }
    }
}

/// A field that may be given several times: one line for each value, and the first at least.
fn several(name: &str, label: &str, hint: &str, values: &[String]) -> Markup {
    html! {
        (field(name, label, hint, values.first().map(String::as_str)))
        @for (number, value) in values.iter().enumerate().skip(1) {
            div.field {
                label for={ (name) "-" (number) } { "or" @if name == "where" || name == "context" { " (and)" } }
                input id={ (name) "-" (number) } name=(name) value=(value) autocomplete="off" spellcheck="false";
            }
        }
    }
}

/// The conditions that are in force, each with a link that takes it away.
fn chips(question: &Question) -> Markup {
    let query = question.at(None).query();
    let parts: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let is_condition = |name: &str| !matches!(name, "tz" | "order" | "own" | "in");
    let without = |at: usize| {
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (_, (name, value)) in parts.iter().enumerate().filter(|(number, _)| *number != at) {
            // Without a text, there is no part of events where it is looked for.
            if name != "in" || parts[at].0 != "find" {
                rest.append_pair(name, value);
            }
        }
        format!("/?{}", rest.finish())
    };
    html! {
        @if parts.iter().any(|(name, _)| is_condition(name)) {
            ul.chips aria-label="Conditions in force" {
                @for (at, (name, value)) in parts.iter().enumerate().filter(|(_, (name, _))| is_condition(name)) {
                    li { span.name { (name) } " " span.value { (text(value)) } a href=(without(at)) aria-label={ "Remove the condition " (name) } { "\u{d7}" } }
                }
            }
        }
    }
}

/// The words for a list without an event.
pub(crate) fn nothing(question: &Question) -> Markup {
    html! {
        div.empty {
            p { strong { "No event matches." } }
            @if question.side.is_some() {
                p { "The list ends here." }
            } @else if question.is_of_all() && question.selection.since.is_none() {
                p { "The trail is empty: no event is stored yet." }
            } @else {
                p { "Remove a condition, or widen the time. An event type has a dot: " code { "order.*" } " matches all that begin with " code { "order." } }
            }
        }
    }
}

/// Links to other forms of what is shown.
pub(crate) fn tools(shown: &Shown<'_>) -> Markup {
    let plain = shown.question.at(None);
    let json = if shown.path == "/" { "/events.json".to_owned() } else { format!("{}.json", shown.path) };
    html! {
        section.tools aria-label="Other forms" {
            @if shown.viewer.has(Role::Export) {
                p { "Export all that match: "
                    a href=(links::with_query("/export.ndjson", &plain)) download { "ndjson" } ", "
                    a href=(links::with_query("/export.csv", &plain)) download { "CSV" } ", "
                    a href=(links::with_query("/export.cloudevents", &plain)) download { "CloudEvents" } "." }
            }
            p { a href=(links::with_query(&json, shown.question)) { "This list as JSON" } }
        }
    }
}
