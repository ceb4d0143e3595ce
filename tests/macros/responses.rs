//! HTTP responses, with the feature `axum`: their status is the result, and decides the outcome.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]
#![allow(clippy::unused_async, reason = "handlers are asynchronous")]

use crate::support::{ID, caught_later};
use audit_runtime::{Outcome, TrailEvent, audited};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

type Answer<T> = Result<T, (StatusCode, String)>;

#[audited(event = "order.shown", err = "order.missing", id = ID)]
async fn response(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

#[audited(event = "order.shown", err = "order.missing", id = ID)]
async fn opaque(status: u16) -> impl IntoResponse {
    (StatusCode::from_u16(status).unwrap(), Json(status))
}

#[audited(event = "order.shown", err = "order.missing", id = ID)]
async fn in_a_result(status: u16) -> Answer<Response> {
    if status == 0 { Err((StatusCode::BAD_REQUEST, "none".to_owned())) } else { Ok(response(status).await) }
}

#[audited(event = "order.shown", err = "order.missing", id = ID, result = skip)]
async fn opaque_in_a_result(status: u16) -> Result<impl IntoResponse + use<> + Send, String> {
    if status == 0 { Err("none".to_owned()) } else { Ok((StatusCode::from_u16(status).unwrap(), "text")) }
}

#[audited(event = "order.shown", err = "order.missing", id = ID, ok = |answer| answer.status() != 303, result = |answer| answer.status().to_string())]
async fn as_told(status: u16) -> impl IntoResponse {
    if status == 303 {
        Redirect::to("/").into_response()
    } else {
        StatusCode::from_u16(status).unwrap().into_response()
    }
}

#[tokio::test]
async fn the_status_is_the_result_and_decides_the_outcome() {
    fn ended(event: &TrailEvent) -> (Outcome, &str, Option<&audit_runtime::Json>) {
        (event.outcome, &event.event_type, event.data.get("result"))
    }
    let recorded = |call: fn() -> futures_util::future::BoxFuture<'static, ()>| {
        std::thread::spawn(move || caught_later(call()).1).join().unwrap()
    };
    let [ok, created, missing, failed] = [200, 201, 404, 500].map(audit_runtime::Json::from);
    let shown = |status| (Outcome::Ok, "order.shown", status);
    let refused = |status| (Outcome::Error, "order.missing", status);
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(response(200).await) }))), shown(Some(&ok)));
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(response(404).await) }))), refused(Some(&missing)));
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(opaque(201).await) }))), shown(Some(&created)));
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(opaque(500).await) }))), refused(Some(&failed)));
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(opaque_in_a_result(200).await) }))), shown(None));
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(opaque_in_a_result(404).await) }))), refused(None));
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(opaque_in_a_result(0).await) }))), refused(None));
    let [see_other, not_found] = ["303 See Other", "404 Not Found"].map(audit_runtime::Json::from);
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(as_told(303).await) }))), refused(Some(&see_other)));
    assert_eq!(ended(&recorded(|| Box::pin(async { drop(as_told(404).await) }))), shown(Some(&not_found)));
}

#[tokio::test]
async fn so_does_the_status_within_a_result() {
    let probe = audit_runtime::testing::Probe::new();
    for status in [0, 200, 404] {
        let _ = probe.scope(in_a_result(status)).await;
    }
    let outer = |event: &TrailEvent| event.causation_id.is_none();
    let outcomes: Vec<_> = probe.events().into_iter().filter(outer).map(|event| event.outcome).collect();
    assert_eq!(outcomes, [Outcome::Error, Outcome::Ok, Outcome::Error]);
}
