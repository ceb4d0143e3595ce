//! The pages that list events: the search and the timelines.

use super::access::Viewer;
use super::answer::{Form, json, page};
use super::evidence::Badge;
use super::links;
use super::pages::list::Badges;
use super::pages::timeline::Subject;
use super::pages::{self, Shown};
use super::question::{Question, Side, Within};
use super::read::{self, Listed};
use super::refusal::Refusal;
use super::state::Site;
use audit_runtime::Timestamp;
use audit_runtime::trail::{EventFilter, TrailEvent};
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The input of a list's handler.
pub(super) type Asked = (State<Arc<Site>>, Extension<Viewer>, Extension<Form>, RawQuery);

/// A list in JSON.
#[derive(Serialize)]
struct Document<'a> {
    events: Vec<Entry<'a>>,
    /// The path of the list of older events.
    older: Option<String>,
    newer: Option<String>,
    /// Where a search that no index serves ended before its page was full.
    looked: Option<Looked>,
    /// The path of the list of events that have a text in a value, if these have it in a key.
    values: Option<String>,
}

/// How far a search has looked, and the path of the list that goes on from there.
#[derive(Serialize)]
struct Looked {
    up_to: Timestamp,
    further: String,
}

/// An event of a list, with what is known of its evidence.
#[derive(Serialize)]
struct Entry<'a> {
    event: &'a TrailEvent,
    evidence: Option<&'a Badge>,
}

/// Reads the question of a request. If its times are relative or it has empty fields, the answer is
/// the URL that asks the same for ever.
fn question(path: &str, query: &Option<String>, form: Form) -> Result<Result<Question, Response>, Refusal> {
    let given = query.as_deref().unwrap_or_default();
    let question = Question::read(given)?;
    let absolute = question.clone().absolute()?;
    let has_empty = form_urlencoded::parse(given.as_bytes()).any(|(_, value)| value.trim().is_empty());
    if form == Form::Html && (absolute != question || has_empty) {
        let mut response = StatusCode::SEE_OTHER.into_response();
        let target = links::with_query(path, &absolute);
        let target = target.parse().map_err(|_| Refusal::bad("the query cannot be written as a URL"))?;
        response.headers_mut().insert(LOCATION, target);
        return Ok(Err(response));
    }
    Ok(Ok(absolute))
}

/// The badges of a list: what is known, or what a check shows now.
pub(super) async fn badges(site: &Site, events: &[TrailEvent], check: bool) -> Result<Badges, Refusal> {
    if !check {
        return site.evidence.badges(events).await;
    }
    let examinations = site.evidence.examine(events).await?;
    Ok(examinations.iter().map(|examination| (examination.event_id, Badge::of(examination))).collect())
}

fn document(path: &str, question: &Question, listed: &Listed, badges: &HashMap<Uuid, Badge>) -> Response {
    json(&answer(path, question, listed, badges))
}

fn answer<'a>(path: &str, question: &Question, listed: &'a Listed, badges: &'a HashMap<Uuid, Badge>) -> Document<'a> {
    let link =
        |side: Option<Side>| side.map(|side| links::with_query(&format!("{path}.json"), &question.at(Some(side))));
    let entry = |event| -> Entry<'a> { Entry { event, evidence: badges.get(&event.id) } };
    Document {
        events: listed.events.iter().map(entry).collect(),
        older: link(listed.older),
        newer: link(listed.newer),
        looked: listed.looked.map(|looked| Looked {
            up_to: looked.up_to,
            further: links::with_query(&format!("{path}.json"), &question.further(looked.side)),
        }),
        values: None,
    }
}

/// `/`: the search.
pub(super) async fn search((State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked) -> Response {
    let answer = async {
        let question = match question("/", &query, form)? {
            Ok(question) => question,
            Err(redirect) => return Ok(redirect),
        };
        let filter = viewer.scope.narrow(question.filter()?);
        let shown = Shown::new(&viewer, &question, "/");
        if let Some(text) = &question.find {
            return found(&site, &shown, filter, text, form).await;
        }
        let is_of_all = question.is_of_all() && viewer.scope.is_of_all();
        let counts = async {
            match form {
                Form::Html => read::counts(&site, &viewer, &filter, &question, is_of_all).await,
                Form::Json => Ok(read::Counts::default()),
            }
        };
        let filters = [filter.clone()];
        let (listed, counts) = tokio::try_join!(read::list(&site, &viewer, &filters, &question), counts)?;
        let badges = badges(&site, &listed.events, question.check).await?;
        site.recorded.viewed(&viewer, "search", &question.query(), listed.events.len()).await?;
        Ok(match form {
            Form::Html => page(&pages::search::page(&shown, &listed, &badges, &counts)),
            Form::Json => document("/events", &question, &listed, &badges),
        })
    };
    form.answer(answer.await)
}

/// The search for a text.
async fn found(
    site: &Site,
    shown: &Shown<'_>,
    filter: EventFilter,
    text: &str,
    form: Form,
) -> Result<Response, Refusal> {
    let question = shown.question;
    let searched = read::search(site, shown.viewer, filter, text, question).await?;
    let events: Vec<TrailEvent> = searched.found.iter().map(|found| found.event.clone()).collect();
    let badges = badges(site, &events, question.check).await?;
    site.recorded.viewed(shown.viewer, "search", &question.query(), events.len()).await?;
    let question = question.within(searched.within);
    let listed = Listed { events, older: searched.older, newer: None, looked: searched.looked };
    Ok(match form {
        Form::Html => {
            let shown = Shown::new(shown.viewer, &question, shown.path);
            page(&pages::search::found(&shown, &searched.found, &listed, &badges))
        }
        Form::Json => {
            let values = (searched.within == Within::Keys).then(|| question.within(Within::Values));
            let values = values.map(|question| links::with_query("/events.json", &question));
            json(&Document { values, ..answer("/events", &question, &listed, &badges) })
        }
    })
}

/// One thing whose events are listed.
struct Thing {
    kind: &'static str,
    name: String,
    path: String,
    caption: &'static str,
    filters: Vec<EventFilter>,
    search: Option<Question>,
    before: Markup,
}

/// Lists the events of a thing.
async fn timeline(
    site: &Site,
    viewer: &Viewer,
    form: Form,
    query: Option<String>,
    path: String,
    thing: impl AsyncFnOnce(&Question) -> Result<Thing, Refusal>,
) -> Result<Response, Refusal> {
    let question = match question(&path, &query, form)? {
        Ok(question) => question,
        Err(redirect) => return Ok(redirect),
    };
    if question.find.is_some() {
        return Err(Refusal::bad("find: a timeline has no search for a text; use the search"));
    }
    let thing = thing(&question).await?;
    let filters: Vec<EventFilter> = thing.filters.into_iter().map(|filter| viewer.scope.narrow(filter)).collect();
    let listed = read::list(site, viewer, &filters, &question).await?;
    let badges = badges(site, &listed.events, question.check).await?;
    let page_name = format!("{} {}", thing.kind.to_lowercase(), thing.name);
    site.recorded.viewed(viewer, &page_name, &question.query(), listed.events.len()).await?;
    let search = thing.search.map(|search| links::search(&search));
    Ok(match form {
        Form::Html => {
            let shown = Shown::new(viewer, &question, &thing.path);
            let subject = Subject { kind: thing.kind, name: &thing.name, caption: thing.caption, search };
            page(&pages::timeline::page(&shown, &subject, &thing.before, &listed, &badges))
        }
        Form::Json => document(&thing.path, &question, &listed, &badges),
    })
}

/// The path of a link without its query.
fn path_of(link: &str) -> String {
    link.split('?').next().unwrap_or(link).to_owned()
}

/// `/entity/{type}/{key}`: events about an entity, and those that have it as a further one.
pub(super) async fn entity(
    Path((kind, key)): Path<(String, String)>,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let path = path_of(&links::entity(&kind, &key, &Question::default()));
    let thing = {
        let path = path.clone();
        async move |question: &Question| {
            let filter = question.filter()?;
            // Of an event that has it twice the list shows one.
            let filters = vec![filter.clone().entity(&kind, key.as_str()), filter.target(&kind, key.as_str())];
            let search = question.with(|question| question.selection.entity = Some((kind.clone(), key.clone())));
            let name = format!("{kind} {key}");
            let caption = "Events about the entity, and those that have it as a further one";
            Ok(Thing { kind: "Entity", name, path, caption, filters, search: Some(search), before: html! {} })
        }
    };
    form.answer(timeline(&site, &viewer, form, query, path, thing).await)
}

/// `/actor/{name}`
pub(super) async fn actor(
    Path(name): Path<String>,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let path = path_of(&links::actor(&name, &Question::default()));
    let thing = {
        let path = path.clone();
        async move |question: &Question| {
            let filters = vec![question.filter()?.actor(&name)];
            let search = question.with(|question| question.selection.actor = Some(name.clone()));
            Ok(Thing {
                kind: "Actor",
                name,
                path,
                caption: "Events of the actor",
                filters,
                search: Some(search),
                before: html! {},
            })
        }
    };
    form.answer(timeline(&site, &viewer, form, query, path, thing).await)
}

/// `/tenant/{name}`
pub(super) async fn tenant(
    Path(name): Path<String>,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let path = path_of(&links::tenant(&name, &Question::default()));
    let thing = {
        let path = path.clone();
        async move |question: &Question| {
            let filters = vec![question.filter()?.tenant_any([name.as_str()])];
            let search = question.with(|question| question.selection.tenant = Some(name.clone()));
            let caption = "Events about data of the tenant";
            Ok(Thing { kind: "Tenant", name, path, caption, filters, search: Some(search), before: html! {} })
        }
    };
    form.answer(timeline(&site, &viewer, form, query, path, thing).await)
}

fn id(text: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(text).map_err(|_| Refusal::not_found(format!("{text:?} is not a UUID")))
}

/// `/correlation/{id}`: the events of a request as a tree, and as a list.
pub(super) async fn correlation(
    Path(text): Path<String>,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let path = format!("/correlation/{text}");
    let thing = {
        let (path, site, viewer) = (path.clone(), site.clone(), viewer.clone());
        async move |question: &Question| {
            let id = id(&text)?;
            let filter = question.with(|question| question.own = true).filter()?.correlation(id);
            let mut listed = read::list(&site, &viewer, &[viewer.scope.narrow(filter.clone())], question).await?;
            let known = site.evidence.badges(&listed.events).await?;
            let shown = Shown::new(&viewer, question, &path);
            let tree = pages::tree::tree(&listed.events, None, &known, &shown);
            let before = html! { @if !listed.events.is_empty() { section { h2 { "By cause" } (tree) } } };
            listed.events.clear();
            let search = question.with(|question| question.selection.correlation = Some(id));
            let caption = "Events of the request or process";
            Ok(Thing {
                kind: "Correlation",
                name: id.to_string(),
                path,
                caption,
                filters: vec![filter],
                search: Some(search),
                before,
            })
        }
    };
    form.answer(timeline(&site, &viewer, form, query, path, thing).await)
}

/// `/batch/{id}`: a batch and its events.
pub(super) async fn batch(
    Path(text): Path<String>,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let path = format!("/batch/{text}");
    let thing = {
        let (path, site, viewer) = (path.clone(), site.clone(), viewer.clone());
        async move |question: &Question| {
            viewer.sees_all("batches")?;
            let id = id(&text)?;
            let batch = super::sealed::one_batch(&site, id).await?;
            let batch = batch.ok_or_else(|| Refusal::not_found(format!("there is no batch {id}")))?;
            let shown = Shown::new(&viewer, question, &path);
            let before = pages::batches::head(&batch, &shown);
            let filters = vec![question.with(|question| question.own = true).filter()?.batch(id)];
            Ok(Thing {
                kind: "Batch",
                name: id.to_string(),
                path,
                caption: "Events of the batch",
                filters,
                search: None,
                before,
            })
        }
    };
    form.answer(timeline(&site, &viewer, form, query, path, thing).await)
}
