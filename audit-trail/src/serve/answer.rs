//! Answers: a page, JSON, or a refusal in either form.

use super::pages;
use super::refusal::Refusal;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use maud::Markup;
use serde::Serialize;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Html,
    Json,
}

const SUFFIX: &str = ".json";
const EXPORT: &str = "/export.";

/// Paths that end with the suffix by their own name, and answer JSON to everybody.
fn is_document(path: &str) -> bool {
    path == "/openapi.json" || path.ends_with("/proof.json")
}

/// Returns whether a request wants JSON: by the end of its path, or by `Accept`.
pub(crate) fn wants_json(request: &Request) -> bool {
    request.extensions().get::<Form>() == Some(&Form::Json)
}

/// Notes the form that a request wants, and takes the suffix off its path.
pub(crate) fn with_form(mut request: Request) -> Request {
    let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let path = request.uri().path();
    // Of an export, this is the form of a refusal.
    let is_for_programs = is_document(path) || path.starts_with(EXPORT) && !accepts.starts_with("text/html");
    let is_json = accepts.starts_with("application/json") || is_for_programs;
    let mut form = if is_json { Form::Json } else { Form::Html };
    if !is_document(path)
        && let Some(short) = path.strip_suffix(SUFFIX)
    {
        form = Form::Json;
        let short = if short.is_empty() { "/" } else { short };
        let target = match request.uri().query() {
            Some(query) => format!("{short}?{query}"),
            None => short.to_owned(),
        };
        if let Ok(target) = target.parse::<PathAndQuery>() {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = Some(target);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request.extensions_mut().insert(form);
    request
}

/// Answers with a page.
pub(crate) fn page(markup: &Markup) -> Response {
    let mut response = Response::new(Body::from(markup.0.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// Answers with JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => refused(&Refusal::unavailable(format!("the answer cannot be written as JSON: {error}")), true),
    }
}

/// The body of a refusal in JSON.
#[derive(Serialize)]
struct Problem<'a> {
    status: u16,
    error: &'a str,
}

/// Answers with a refusal.
pub(crate) fn refused(refusal: &Refusal, is_json: bool) -> Response {
    let mut response = if is_json {
        json(&Problem { status: refusal.status.as_u16(), error: &refusal.text })
    } else {
        page(&pages::error::page(refusal))
    };
    *response.status_mut() = refusal.status;
    if refusal.status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
    }
    if refusal.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
    }
    response
}

impl Form {
    /// Turns a handler's failure into the answer in this form.
    pub(crate) fn answer(self, result: Result<Response, Refusal>) -> Response {
        result.unwrap_or_else(|refusal| refused(&refusal, self == Self::Json))
    }
}

/// Refuses a parameter without a value, unless it comes from a form of the page: a program whose
/// variable is not set must not be shown everything.
pub(crate) async fn stated(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_json = wants_json(&request);
    let query = request.uri().query().unwrap_or_default();
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let empty = parameters.find(|(_, value)| value.trim().is_empty());
    match empty.filter(|_| is_json && is_read) {
        Some((name, _)) => refused(
            &Refusal::bad(format!("{name}: the value is empty; leave the parameter out, or give a value")),
            true,
        ),
        None => next.run(request).await,
    }
}

/// Turns what the framework refuses with a bare text (a path that is no text, a method) into an
/// answer of this page's own.
pub(crate) async fn reworded(request: Request, next: Next) -> Response {
    let is_json = wants_json(&request);
    let response = next.run(request).await;
    let is_bare = response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let text = match response.status() {
        StatusCode::BAD_REQUEST => "the path cannot be read; it has to be UTF-8, percent-encoded",
        StatusCode::METHOD_NOT_ALLOWED => "this page is read only, and answers GET alone",
        StatusCode::REQUEST_TIMEOUT => "the request took too long; narrow the time, or export what you need",
        StatusCode::PAYLOAD_TOO_LARGE => "the form is too large",
        StatusCode::INTERNAL_SERVER_ERROR => "the server has a fault, and its log says which",
        _ => return response,
    };
    if !is_bare {
        return response;
    }
    refused(&Refusal::new(response.status(), text), is_json)
}
