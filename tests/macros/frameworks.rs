//! `#[audited]` beside other attributes and inside the expansions of other crates. The strictest
//! lints stay silent here too.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery, unused_variables, dead_code)]
#![allow(clippy::diverging_sub_expression, clippy::unused_async, reason = "what debug_handler emits, and asks for")]

use crate::support::{ID, caught, caught_later};
use async_trait::async_trait;
use audit_runtime::testing::Probe;
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Context, Outcome, audited};
use axum::extract::{Path, State};
use axum::{Json, Router, debug_handler};
use serde_json::json;
use std::panic::Location;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

#[async_trait]
trait Broker: Send + Sync {
    async fn submit(&self, order_id: Uuid, ticker: &str) -> Result<usize, Refused>;

    #[audited(event = "order.submitted", fields(twice = true))]
    async fn submit_twice(&self, order_id: Uuid, ticker: &str) -> Result<usize, Refused>
    where
        Self: Sized,
    {
        Ok(self.submit(order_id, ticker).await? * 2)
    }
}

struct Paper;

struct Named {
    name: &'static str,
    probe: Probe,
}

#[async_trait]
impl Broker for Named {
    #[audited(event = "order.sent", recorder = self.probe.audit(), fields(name = self.name, long = ticker.len() > 3))]
    async fn submit(&self, order_id: Uuid, ticker: &str) -> Result<usize, Refused> {
        tokio::task::yield_now().await;
        Ok(self.name.len() + ticker.len())
    }
}

#[async_trait]
impl Broker for Paper {
    #[audited(event = "order.sent", err = "order.rejected", entity = "order")]
    async fn submit(&self, order_id: Uuid, ticker: &str) -> Result<usize, Refused> {
        tokio::task::yield_now().await;
        if ticker.is_empty() {
            return Err(Refused);
        }
        Ok(ticker.len())
    }
}

struct Quiet;

#[async_trait]
impl Broker for Quiet {
    async fn submit(&self, _: Uuid, ticker: &str) -> Result<usize, Refused> {
        Ok(ticker.len())
    }
}

#[async_trait(?Send)]
trait Owning {
    async fn take(self: Arc<Self>, id: Uuid, text: String) -> String;
}

#[async_trait(?Send)]
impl Owning for Paper {
    #[audited(event = "a.b")]
    async fn take(self: Arc<Self>, id: Uuid, mut text: String) -> String {
        text.push('!');
        text
    }
}

#[test]
fn async_trait_in_the_trait_and_in_its_implementation() {
    let broker: &dyn Broker = &Paper;
    // As an async fn it begins when it is polled: in the scope that it is awaited in.
    let (returned, event) = caught_later(broker.submit(ID, "AAPL"));
    assert_eq!((returned.unwrap(), event.entity_id), (4, Some(ID)));
    assert_eq!(event.data, json!({"order_id": ID, "ticker": "AAPL", "result": 4}));
    let (_, event) = caught_later(broker.submit(ID, ""));
    assert_eq!((event.event_type.as_str(), event.outcome), ("order.rejected", Outcome::Error));
    let named = Named { name: "desk", probe: Probe::new() };
    pollster::block_on(named.submit(ID, "AAPL")).unwrap();
    let event = named.probe.only("order.sent");
    assert_eq!(event.data, json!({"order_id": ID, "ticker": "AAPL", "name": "desk", "long": true, "result": 8}));
    let (_, event) = caught_later(Quiet.submit_twice(ID, "AAPL"));
    assert_eq!(event.data, json!({"order_id": ID, "ticker": "AAPL", "twice": true, "result": 8}));
    let (_, event) = caught_later(Arc::new(Paper).take(ID, "x".into()));
    assert_eq!(event.data, json!({"id": ID, "text": "x", "result": "x!"}));
}

#[test]
fn async_trait_methods_are_in_the_context_they_are_awaited_in_and_cause_what_is_below() {
    let probe = Probe::new();
    let context = Context::new().actor("ann");
    pollster::block_on(probe.scope(context.scope(Paper.submit_twice(ID, "AAPL")))).unwrap();
    let (outer, inner) = (probe.only("order.submitted"), probe.only("order.sent"));
    assert_eq!((outer.actor.as_str(), inner.actor.as_str()), ("ann", "ann"));
    assert_eq!(inner.causation_id, Some(outer.id));
    // Dropped before it was polled, it does not count as a call.
    drop(probe.scope(Paper.submit(ID, "AAPL")));
    assert_eq!(probe.events().len(), 2);
}

#[tracing::instrument(ret, err)]
#[audited(event = "a.b", id = ID)]
fn traced_above(number: u8) -> Result<u8, Refused> {
    if number > 9 {
        return Err(Refused);
    }
    Ok(number)
}

#[audited(event = "a.b", id = ID)]
#[tracing::instrument(skip_all)]
async fn traced_below(number: u8) -> Result<u8, Refused> {
    tokio::task::yield_now().await;
    if number > 9 { Err(Refused) } else { Ok(number) }
}

#[test]
fn tracing_instrument_above_and_below() {
    for number in [3, 10] {
        let outcome = if number > 9 { Outcome::Error } else { Outcome::Ok };
        assert_eq!(caught(|| traced_above(number)).1.outcome, outcome);
        assert_eq!(caught_later(traced_below(number)).1.outcome, outcome);
    }
}

#[tokio::main(flavor = "current_thread")]
#[audited(event = "program.run", id = ID)]
async fn program(number: u8) -> Result<u8, Refused> {
    tokio::task::yield_now().await;
    Ok(number)
}

#[audited(event = "program.run", id = ID)]
#[tokio::main(flavor = "current_thread")]
async fn program_below(number: u8) -> Result<u8, Refused> {
    tokio::task::yield_now().await;
    if number > 9 {
        return Err(Refused);
    }
    Ok(number)
}

#[test]
fn tokio_main_above_and_below() {
    assert_eq!(caught(|| program(3)).1.data, json!({"number": 3, "result": 3}));
    assert_eq!(caught(|| program_below(10)).1.outcome, Outcome::Error);
}

#[tokio::test]
#[audited(event = "test.run", id = None::<Uuid>)]
async fn a_tokio_test_can_be_audited() {
    tokio::task::yield_now().await;
}

#[audited(event = "test.run", id = None::<Uuid>)]
#[test]
fn a_test_can_be_audited() -> Result<(), Refused> {
    if Location::caller().line() == 0 {
        return Err(Refused);
    }
    Ok(())
}

type Users = Arc<str>;

#[debug_handler(state = Users)]
#[audited(event = "user.shown", skip(users), result = |json| &json.0)]
async fn show(State(users): State<Users>, Path(user_id): Path<Uuid>) -> Json<String> {
    Json(format!("{users} {user_id}"))
}

#[audited(event = "user.renamed", skip(users), fields(users = users.len()), result = |json| &json.0)]
#[debug_handler(state = Users)]
async fn rename(
    State(users): State<Users>,
    Path((user_id, name)): Path<(Uuid, String)>,
    Json(reason): Json<Option<String>>,
) -> Result<Json<String>, String> {
    if name == "root" {
        return Err("not that one".into());
    }
    Ok(Json(name))
}

async fn serve(router: Router, request: reqwest::RequestBuilder, path: &str) -> (u16, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let (client, request) = request.build_split();
    let mut request = request.unwrap();
    *request.url_mut() = url.parse().unwrap();
    let response = client.execute(request).await.unwrap();
    let answer = (response.status().as_u16(), response.text().await.unwrap());
    server.abort();
    answer
}

#[tokio::test]
async fn axum_handlers() {
    let probe = Probe::new();
    let recorded = probe.clone();
    let router = Router::new()
        .route("/users/{id}", axum::routing::get(show))
        .route("/users/{id}/{name}", axum::routing::post(rename))
        .layer(axum::middleware::from_fn(move |request, next: axum::middleware::Next| {
            recorded.scope(next.run(request))
        }))
        .with_state(Users::from("users"));
    tests::tls::ready();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let placeholder = "http://127.0.0.1/";
    let (status, _) = serve(router.clone(), client.get(placeholder), &format!("/users/{ID}")).await;
    assert_eq!(status, 200);
    let event: TrailEvent = probe.only("user.shown");
    assert_eq!(
        (event.entity_id, event.data),
        (Some(ID), json!({"user_id": ID, "result": format!("users {ID}")}).into())
    );
    let body = json!("because");
    let (status, body) = serve(router, client.post(placeholder).json(&body), &format!("/users/{ID}/root")).await;
    assert_eq!((status, body.as_str()), (200, "not that one"));
    let event = probe.only("user.renamed");
    assert_eq!(event.outcome, Outcome::Error);
    assert_eq!(event.data["reason"], "because");
}

/// Documented.
#[cfg(test)]
#[must_use = "it counts"]
#[inline]
#[deprecated(note = "for the test's sake")]
#[audited(event = "a.b", id = ID)]
#[allow(clippy::needless_pass_by_value)]
fn decorated(
    #[cfg(any())] absent: std::convert::Infallible,
    #[cfg(test)] present: u8,
    #[allow(unused)] other: u8,
) -> u8 {
    present
}

#[track_caller]
#[audited(event = "a.b", id = ID)]
fn tracked(number: u8) -> u8 {
    assert!(number < 10, "too large");
    number
}

#[test]
#[allow(deprecated)]
fn other_attributes_keep_their_meaning() {
    assert_eq!(caught(|| decorated(3, 4)).1.data, json!({"present": 3, "other": 4, "result": 3}));
    assert_eq!(caught(|| tracked(3)).1.data, json!({"number": 3, "result": 3}));
}
