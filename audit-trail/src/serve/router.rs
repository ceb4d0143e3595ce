//! Which path answers what, and what every request goes through.

use super::access;
use super::answer::{self, Form, json, page};
use super::lists::Asked;
use super::pages::{self, Shown};
use super::question::Question;
use super::refusal::Refusal;
use super::state::Site;
use super::{assets, catalogue, events, export, headers, health, lists, openapi, sealed, tail};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

/// The time in which a page is made.
const LIMIT: Duration = Duration::from_secs(20);
/// The largest form.
const BODY: usize = 4 * 1024;

/// Everything that is served.
pub(crate) fn router(site: Arc<Site>) -> Router {
    let limited = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LIMIT);
    let pages = Router::new()
        .route("/", get(lists::search))
        .route("/events", get(lists::search))
        .route("/event/{id}", get(events::event))
        .route("/event/{id}/proof.json", get(events::proof))
        .route("/event/{id}/reveal", get(events::reveal))
        .route("/entity/{kind}/{key}", get(lists::entity))
        .route("/actor/{name}", get(lists::actor))
        .route("/tenant/{name}", get(lists::tenant))
        .route("/correlation/{id}", get(lists::correlation))
        .route("/batch/{id}", get(lists::batch))
        .route("/batches", get(batches))
        .route("/checkpoint/{id}", get(checkpoint))
        .route("/checkpoints", get(checkpoints))
        .route("/catalogue", get(catalogue::catalogue))
        .route("/status", get(status))
        .route("/openapi.json", get(openapi::get))
        .layer(limited);
    // Exports and tails take as long as they take.
    let streams = Router::new().route("/export.{form}", get(exported)).route("/tail", get(tailed));
    let viewers = pages.merge(streams).fallback(unknown).layer(from_fn(answer::stated));
    let viewers = viewers.layer(from_fn_with_state(site.clone(), access::authenticate));
    let open = Router::new()
        .route("/assets/{name}", get(assets::get))
        .route("/healthz", get(alive))
        .route("/login", get(access::form))
        .route("/login", post(access::log_in))
        .route("/logout", post(access::log_out))
        .layer(RequestBodyLimitLayer::new(BODY))
        .layer(limited);
    let routed = viewers
        .merge(open)
        .with_state(site)
        .layer(from_fn(answer::reworded))
        .layer(CatchPanicLayer::new())
        .layer(CompressionLayer::new())
        .layer(from_fn(headers::add));
    // Before anything is routed, for it changes the path.
    Router::new().fallback_service(tower_of(routed))
}

/// Notes the form of each request's answer, and then routes it.
fn tower_of(router: Router) -> Router {
    Router::new().fallback(move |request: Request| {
        let mut router = router.clone();
        async move { tower_service::Service::call(&mut router, answer::with_form(request)).await }
    })
}

async fn alive() -> &'static str {
    "alive\n"
}

async fn unknown(Extension(form): Extension<Form>) -> Response {
    form.answer(Err(Refusal::not_found("there is no such page; the search leads to all of them")))
}

/// Reads the parameters that a page without a list has: the zone, the order.
pub(super) fn plain(query: Option<String>) -> Result<Question, Refusal> {
    Ok(Question::read(&query.unwrap_or_default())?.plain())
}

/// Takes the place of a page of batches out of a query.
fn without_before(query: &str) -> (Option<String>, String) {
    let (mut before, mut rest) = (None, form_urlencoded::Serializer::new(String::new()));
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == "before" {
            before = Some(value.into_owned());
        } else {
            rest.append_pair(&name, &value);
        }
    }
    (before, rest.finish())
}

async fn batches((State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked) -> Response {
    let answer = async {
        viewer.sees_all("batches")?;
        let query = query.unwrap_or_default();
        let (before, rest) = without_before(&query);
        let question = plain(Some(rest))?;
        let batches = sealed::batches(&site, before.as_deref()).await?;
        site.recorded.viewed(&viewer, "batches", &query, batches.rows.len()).await?;
        Ok(match form {
            Form::Html => page(&pages::batches::page(&Shown::new(&viewer, &question, "/batches"), &batches)),
            Form::Json => json(&batches),
        })
    };
    form.answer(answer.await)
}

async fn checkpoints((State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked) -> Response {
    let answer = async {
        viewer.sees_all("checkpoints")?;
        let question = plain(query)?;
        let checkpoints = sealed::checkpoints(&site, None).await?;
        site.recorded.viewed(&viewer, "checkpoints", "", checkpoints.len()).await?;
        Ok(match form {
            Form::Html => {
                page(&pages::checkpoints::page(&Shown::new(&viewer, &question, "/checkpoints"), &checkpoints))
            }
            Form::Json => json(&checkpoints),
        })
    };
    form.answer(answer.await)
}

async fn checkpoint(
    Path(text): Path<String>,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let answer = async {
        // Numbers of batches state how much others record. An event's page has the note that covers it.
        viewer.sees_all("checkpoints")?;
        let question = plain(query)?;
        let missing = || Refusal::not_found(format!("there is no checkpoint {text:?}"));
        let id = text.parse::<i64>().map_err(|_| missing())?;
        let checkpoint = sealed::checkpoints(&site, Some(id)).await?.pop().ok_or_else(missing)?;
        site.recorded.viewed(&viewer, &format!("checkpoint {id}"), "", 1).await?;
        Ok(match form {
            Form::Html => {
                let path = format!("/checkpoint/{id}");
                page(&pages::checkpoints::one(&Shown::new(&viewer, &question, &path), &checkpoint))
            }
            Form::Json => json(&checkpoint),
        })
    };
    form.answer(answer.await)
}

async fn status((State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked) -> Response {
    let answer = async {
        viewer.sees_all("the status pages")?;
        let question = plain(query)?;
        let health = health::read(&site).await?;
        site.recorded.viewed(&viewer, "status", "", 0).await?;
        Ok(match form {
            Form::Html => page(&pages::status::page(&Shown::new(&viewer, &question, "/status"), &health)),
            Form::Json => json(&health),
        })
    };
    form.answer(answer.await)
}

async fn exported(
    Path(name): Path<String>,
    (State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked,
) -> Response {
    let answer = async {
        let kind = export::Form::of(&name);
        let kind =
            kind.ok_or_else(|| Refusal::not_found("exports are /export.ndjson, /export.csv and /export.cloudevents"))?;
        let question = Question::read(&query.unwrap_or_default())?.absolute()?;
        export::export(site, viewer, question, kind).await
    };
    form.answer(answer.await)
}

async fn tailed((State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked) -> Response {
    let answer = async {
        let question = Question::read(&query.unwrap_or_default())?.at(None).absolute()?;
        if question.find.is_some() {
            return Err(Refusal::bad("find: the tail has no search for a text"));
        }
        tail::follow(site, viewer, question).await
    };
    form.answer(answer.await)
}
