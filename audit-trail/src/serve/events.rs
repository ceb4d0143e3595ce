//! The page of one event, its proof, and its personal values.

use super::access::{Role, Viewer};
use super::answer::{Form, json, page};
use super::lists::Asked;
use super::pages::event::Content;
use super::pages::{self, Shown};
use super::question::{Order, Question};
use super::refusal::Refusal;
use super::state::Site;
use audit_runtime::Json;
use audit_runtime::evidence::{Check, Examination};
use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use uuid::Uuid;

/// Events of the same request that an event's page shows.
const RELATED: u32 = 200;
/// The shortest and the longest reason.
const REASON: std::ops::RangeInclusive<usize> = 3..=500;

/// An event in JSON, with its evidence.
#[derive(Serialize)]
struct Document<'a> {
    event: &'a TrailEvent,
    evidence: Evidence<'a>,
}

#[derive(Serialize)]
struct Evidence<'a> {
    verdict: &'static str,
    row: Step<'a>,
    batch: Step<'a>,
    tree: Step<'a>,
    signature: Step<'a>,
    batch_id: Option<Uuid>,
    checkpoint: Option<i64>,
}

#[derive(Serialize)]
struct Step<'a> {
    state: &'static str,
    why: Option<&'a str>,
}

impl<'a> From<&'a Check> for Step<'a> {
    fn from(check: &'a Check) -> Self {
        match check {
            Check::Passed => Self { state: "passed", why: None },
            Check::Failed(why) => Self { state: "failed", why: Some(why) },
            Check::Waiting(why) => Self { state: "not_checked", why: Some(why) },
            _ => Self { state: "unknown", why: None },
        }
    }
}

fn id(text: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(text).map_err(|_| Refusal::not_found(format!("{text:?} is not an event's id, a UUID")))
}

/// Reads an event that the viewer may see.
async fn read(trail: &Trail, viewer: &Viewer, id: Uuid) -> Result<TrailEvent, Refusal> {
    let filter = viewer.scope.narrow(EventFilter::new().id(id).limit(1));
    trail.events(&filter).await?.events.pop().ok_or_else(|| {
        Refusal::not_found(format!(
            "event {id} is not in the trail, or not in your part of it: not stored yet, refused or pruned"
        ))
    })
}

/// The event, checked a moment ago.
async fn examined(site: &Site, event: &TrailEvent) -> Result<Examination, Refusal> {
    let examined = site.evidence.examine(std::slice::from_ref(event)).await?.pop();
    examined.ok_or_else(|| Refusal::unavailable("the event could not be checked; reload the page"))
}

/// Reads events of the same request, or those that an event without one has caused.
async fn related(
    site: &Site,
    viewer: &Viewer,
    event: &TrailEvent,
    order: Order,
) -> Result<(Vec<TrailEvent>, bool), Refusal> {
    let filter = match event.correlation_id {
        Some(correlation) => EventFilter::new().correlation(correlation),
        None => EventFilter::new().causation(event.id),
    };
    let filter = viewer.scope.narrow(filter).limit(RELATED);
    let read =
        site.trail_of(viewer).events(&if order == Order::Newest { filter.newest_first() } else { filter }).await?;
    let mut events = read.events;
    // Alone it is no tree.
    if event.correlation_id.is_some() && events.iter().all(|other| other.id == event.id) {
        events.clear();
    }
    Ok((events, read.next.is_some()))
}

/// `/event/{id}`
pub(super) async fn event(
    Path(text): Path<String>,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let answer = async {
        let question = Question::read(&query.unwrap_or_default())?;
        let event = read(&site.trail_of(&viewer), &viewer, id(&text)?).await?;
        show(&site, &viewer, form, &question, &event, None).await
    };
    form.answer(answer.await)
}

/// Shows an event, with personal values if there is a reason.
async fn show(
    site: &Site,
    viewer: &Viewer,
    form: Form,
    question: &Question,
    event: &TrailEvent,
    reason: Option<&str>,
) -> Result<Response, Refusal> {
    let (examination, related) = tokio::try_join!(examined(site, event), related(site, viewer, event, question.order))?;
    let (related, has_more) = related;
    let altered: HashMap<_, _> = site.evidence.badges(&related).await?;
    let (verdict, _) = pages::evidence::verdict(&examination);
    let about = match crate::format::entity_key(event) {
        Some(key) => format!("{}:{key}", event.entity_type),
        None => event.entity_type.clone(),
    };
    let (event_type, mut data) = match reason {
        Some(reason) => ("audit.revealed", json!({"reason": reason})),
        None => ("audit.viewed", json!({"page": "event"})),
    };
    data["event"] = event.id.to_string().into();
    data["entity"] = about.into();
    data["rows"] = 1.into();
    site.recorded.record(viewer, event_type, data).await?;
    if form == Form::Json {
        let evidence = Evidence {
            verdict,
            row: (&examination.row).into(),
            batch: (&examination.batch).into(),
            tree: (&examination.tree).into(),
            signature: (&examination.signature).into(),
            batch_id: examination.coverage.as_ref().map(|coverage| coverage.batch_id),
            checkpoint: examination.checkpoint.as_ref().map(|checkpoint| checkpoint.id),
        };
        return Ok(json(&Document { event, evidence }));
    }
    let loss = match (&site.keys, reason) {
        (Some(keys), Some(_)) => keys.loss().await?,
        _ => None,
    };
    let content = Content {
        event,
        loss: loss.as_deref(),
        examination: &examination,
        key: site.evidence.key(),
        related: &related,
        has_more,
        altered: &altered,
        is_revealable: site.revealing.is_some(),
        revealed: reason,
    };
    Ok(page(&pages::event::page(&Shown::new(viewer, question, &format!("/event/{}", event.id)), &content)))
}

/// `/event/{id}/reveal?reason=..`: the event with its personal values.
pub(super) async fn reveal(
    Path(text): Path<String>,
    headers: HeaderMap,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let answer = async {
        if !viewer.has(Role::Reveal) {
            return Err(Refusal::forbidden("your access does not include personal values; ask for the role reveal"));
        }
        // A link on another site must not put a reason into the viewer's mouth.
        let is_cross = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
        if is_cross {
            return Err(Refusal::forbidden(
                "personal values are shown from the event's own page alone; open it and state the reason",
            ));
        }
        let trail = site.revealing_of(&viewer);
        let trail = trail
            .ok_or_else(|| Refusal::forbidden("this server has no master key, so personal values stay encrypted"))?;
        let query = query.unwrap_or_default();
        let reason = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "reason");
        let reason = reason.map(|(_, reason)| reason.trim().to_owned()).unwrap_or_default();
        if !REASON.contains(&reason.chars().count()) {
            return Err(Refusal::bad(format!(
                "reason: state in {} to {} characters why you look",
                REASON.start(),
                REASON.end()
            )));
        }
        let event = read(&trail, &viewer, id(&text)?).await?;
        show(&site, &viewer, form, &Question::default(), &event, Some(&reason)).await
    };
    form.answer(answer.await)
}

/// `/event/{id}/proof.json`
pub(super) async fn proof(
    Path(text): Path<String>,
    (State(site), Extension(viewer), Extension(_), RawQuery(_)): Asked,
) -> Response {
    let answer = async {
        let event = read(&site.trail_of(&viewer), &viewer, id(&text)?).await?;
        let examination = examined(&site, &event).await?;
        if let Some(why) = examination.failure() {
            return Err(Refusal::new(
                axum::http::StatusCode::CONFLICT,
                format!("event {} is ALTERED: {why}", event.id),
            ));
        }
        let proof = examination
            .proof
            .ok_or_else(|| Refusal::not_found(format!("no checkpoint covers event {} yet", event.id)))?;
        // As the command writes it, digit by digit.
        let text = proof.to_json().map_err(|error| Refusal::unavailable(error.to_string()))?;
        site.recorded.record(&viewer, "audit.proof", json!({"event": event.id.to_string(), "rows": 1})).await?;
        let text: Json = text.parse().map_err(|_| Refusal::unavailable("the proof cannot be written"))?;
        let mut response = json(&text);
        let name = format!("attachment; filename=\"proof-{}.json\"", event.id);
        if let Ok(name) = HeaderValue::from_str(&name) {
            response.headers_mut().insert(CONTENT_DISPOSITION, name);
        }
        Ok(response)
    };
    Form::Json.answer(answer.await)
}
