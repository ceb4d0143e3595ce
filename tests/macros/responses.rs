//! HTTP responses, with the features `axum` and `actix-web`: their status is the result, and decides
//! the outcome.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]
#![allow(clippy::result_large_err, reason = "the error is a response, as services return it")]
#![allow(clippy::unused_async, reason = "handlers are asynchronous")]

use crate::support::{ID, caught, caught_later};
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Outcome, audited};
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

#[audited(event = "order.shown", err = "order.missing", id = ID)]
async fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

#[audited(event = "order.shown", err = "order.missing", id = ID)]
fn status_and_body(status: u16) -> (StatusCode, Json<u16>) {
    (StatusCode::from_u16(status).unwrap(), Json(status))
}

#[audited(event = "order.shown", err = "order.missing", id = ID)]
async fn status_in_a_result(status: u16) -> Result<StatusCode, (StatusCode, String)> {
    StatusCode::from_u16(status).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

#[allow(clippy::result_large_err, reason = "it is axum's")]
#[audited(event = "order.shown", err = "order.missing", id = ID)]
fn axums_own(status: u16) -> axum::response::Result<StatusCode> {
    if status == 0 { Err(([("set-cookie", "session=hunter2")], "none").into()) } else { Ok(StatusCode::OK) }
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
    assert_eq!(ended(&recorded(|| Box::pin(async { _ = status(404).await }))), refused(Some(&missing)));
    assert_eq!(ended(&recorded(|| Box::pin(async { _ = status_and_body(500) }))), refused(Some(&failed)));
    assert_eq!(ended(&recorded(|| Box::pin(async { _ = status_and_body(201) }))), shown(Some(&created)));
    assert_eq!(ended(&recorded(|| Box::pin(async { _ = status_in_a_result(404).await }))), refused(Some(&missing)));
    let malformed = recorded(|| Box::pin(async { _ = status_in_a_result(1).await }));
    assert_eq!(malformed.data["error"]["message"], "400 Bad Request: invalid status code");
    let refusal = recorded(|| Box::pin(async { drop(axums_own(0)) }));
    assert!(refusal.outcome == Outcome::Error && !refusal.data.to_string().contains("hunter2"), "{}", refusal.data);
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

/// Responses of actix-web.
mod actix {
    use super::{ID, Outcome, audited, caught};
    use actix_web::dev::ServiceResponse;
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;
    use actix_web::{HttpResponse, Responder};
    use serde_json::json;

    /// A type that only has a status of its own.
    #[derive(serde::Serialize)]
    struct Parcel {
        status: u16,
    }

    impl Parcel {
        fn status(&self) -> StatusCode {
            StatusCode::from_u16(self.status).unwrap()
        }
    }

    fn answer(status: u16) -> HttpResponse {
        let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap());
        answer.insert_header(("set-cookie", "session=hunter2")).finish()
    }

    #[audited(event = "order.shown", err = "order.missing", id = ID)]
    fn response(status: u16) -> HttpResponse {
        answer(status)
    }

    #[audited(event = "order.shown", err = "order.missing", id = ID)]
    fn opaque(status: u16) -> impl Responder {
        answer(status)
    }

    #[audited(event = "order.shown", id = ID)]
    fn opaque_text(status: u16) -> impl Responder {
        status.to_string()
    }

    #[audited(event = "order.shown", err = "order.missing", id = ID)]
    fn service_response(status: u16) -> ServiceResponse {
        TestRequest::default().to_srv_response(answer(status))
    }

    #[audited(event = "order.shown", err = "order.missing", id = ID)]
    fn status_itself(status: u16) -> StatusCode {
        StatusCode::from_u16(status).unwrap()
    }

    #[audited(event = "order.shown", err = "order.missing", id = ID)]
    fn refusal(status: u16) -> Result<HttpResponse, HttpResponse> {
        if status < 400 { Ok(answer(status)) } else { Err(answer(status)) }
    }

    #[audited(event = "order.shown", id = ID)]
    fn parcel(status: u16) -> Parcel {
        Parcel { status }
    }

    #[test]
    fn the_status_of_an_actix_response_is_the_result_and_decides_the_outcome() {
        for status in [200, 404] {
            let events = [
                caught(|| drop(response(status))).1,
                caught(|| drop(opaque(status))).1,
                caught(|| drop(service_response(status))).1,
                caught(|| _ = status_itself(status)).1,
            ];
            let ended = if status == 200 { (Outcome::Ok, "order.shown") } else { (Outcome::Error, "order.missing") };
            for event in events {
                assert_eq!((event.outcome, &*event.event_type), ended);
                assert_eq!(event.data, json!({"status": status, "result": status}));
            }
        }
    }

    #[test]
    fn an_actix_response_that_is_an_error_is_recorded_without_its_headers() {
        assert_eq!(caught(|| drop(refusal(200))).1.data, json!({"status": 200, "result": 200}));
        let event = caught(|| drop(refusal(404))).1;
        let error = json!({"message": "404 Not Found", "causes": []});
        assert_eq!((event.outcome, event.data), (Outcome::Error, json!({"status": 404, "error": error}).into()));
    }

    #[test]
    fn a_value_without_an_http_status_stays_a_success() {
        let event = caught(|| drop(opaque_text(404))).1;
        assert_eq!((event.outcome, event.data), (Outcome::Ok, json!({"status": 404}).into()));
        let (parcel, event) = caught(|| parcel(404));
        assert!(parcel.status().is_client_error());
        assert_eq!(event.outcome, Outcome::Ok);
    }
}

/// A framework with a trait of the same name, and of other responses.
mod framework {
    pub trait IntoResponse {
        fn into_response(self) -> String;
    }

    /// A value that both know.
    impl IntoResponse for super::StatusCode {
        fn into_response(self) -> String {
            self.to_string()
        }
    }
}

#[audited(event = "order.shown", id = ID)]
async fn of_another_framework(status: u16) -> impl framework::IntoResponse + Send {
    StatusCode::from_u16(status).unwrap()
}

#[audited(event = "order.shown", id = ID)]
fn of_another_framework_in_a_result(status: u16) -> Result<impl framework::IntoResponse, String> {
    StatusCode::from_u16(status).map_err(|error| error.to_string())
}

#[test]
fn a_response_type_of_another_framework_is_returned_unchanged() {
    use framework::IntoResponse;
    let (returned, event) = caught_later(of_another_framework(404));
    assert_eq!((returned.into_response().as_str(), event.outcome), ("404 Not Found", Outcome::Error));
    assert_eq!(event.data, serde_json::json!({"status": 404, "result": 404}));
    let (returned, event) = caught(|| of_another_framework_in_a_result(200));
    assert_eq!((returned.unwrap().into_response().as_str(), event.outcome), ("200 OK", Outcome::Ok));
    assert_eq!(event.data, serde_json::json!({"status": 200, "result": 200}));
    assert_eq!(caught(|| of_another_framework_in_a_result(1)).1.outcome, Outcome::Error);
}

#[audited(event = "order.shown", id = none)]
async fn refused_by_a_response() -> Result<(), Response> {
    Err((StatusCode::UNAUTHORIZED, [("set-cookie", "session=7")], "log in").into_response())
}

#[test]
fn a_response_that_is_an_error_leaves_its_status_and_no_header() {
    let (returned, event) = caught_later(refused_by_a_response());
    assert!(returned.unwrap_err().headers().contains_key("set-cookie"));
    assert_eq!(event.data, serde_json::json!({"error": {"message": "401 Unauthorized", "causes": []}}));
}
