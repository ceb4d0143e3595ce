//! Which request and which trace an event belongs to.

use crate::support::{ID, caught};
use audit_runtime::testing::Probe;
use audit_runtime::tower::ContextLayer;
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Context, Event, Json, audited};
use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use axum::{Extension, Router};
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::json;
use tower::ServiceExt;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: Uuid = Uuid::from_u128(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);

#[audited(event = "order.placed", id = ID)]
async fn place() {
    tokio::task::yield_now().await;
    check();
}

#[audited(event = "order.checked", id = ID)]
fn check() {}

#[derive(Clone)]
struct User(String);

fn router() -> Router {
    let layer = ContextLayer::new().actor(|request| {
        let user = request.extensions.get::<User>().map(|user| user.0.clone());
        user.or_else(|| request.headers.get("x-user")?.to_str().ok().map(str::to_owned))
    });
    Router::new().route("/orders", post(place)).layer(layer)
}

async fn requested(headers: &[(&str, &str)]) -> Vec<TrailEvent> {
    let probe = Probe::new();
    let request = headers.iter().fold(Request::post("/orders"), |request, (name, value)| request.header(*name, *value));
    probe.scope(router().oneshot(request.body(Body::empty()).unwrap())).await.unwrap();
    let events = probe.events();
    assert_eq!(events.len(), 2);
    let same = |event: &TrailEvent| (event.actor.clone(), event.correlation_id, event.context.clone());
    assert_eq!(same(&events[0]), same(&events[1]), "on every event");
    events
}

#[tokio::test]
async fn a_requests_headers_and_user_are_on_every_event_it_causes() {
    let event = requested(&[
        ("traceparent", TRACEPARENT),
        ("x-request-id", "r-17"),
        ("forwarded", "for=192.0.2.60;proto=http"),
        ("x-user", "ann"),
    ])
    .await
    .remove(0);
    assert_eq!((event.actor.as_str(), event.correlation_id), ("ann", Some(TRACE)));
    assert_eq!(
        event.context.unwrap(),
        json!({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "request_id": "r-17",
               "forwarded": "for=192.0.2.60;proto=http", "user": "ann"})
    );
    // A request id that is a UUID is the correlation.
    let id = Uuid::now_v7();
    let event = requested(&[("x-request-id", &id.to_string()), ("traceparent", TRACEPARENT)]).await.remove(0);
    assert_eq!((event.actor.as_str(), event.correlation_id), ("system", Some(id)));
}

#[tokio::test]
async fn headers_that_make_no_sense_are_not_taken_and_each_request_has_a_correlation() {
    let odd = [("traceparent", "00-zz"), ("x-request-id", ""), ("forwarded", &"ü".repeat(3))];
    let (one, two) = (requested(&odd).await.remove(0), requested(&[]).await.remove(0));
    assert_eq!((one.context, two.context), (None, None));
    assert!(one.correlation_id.is_some() && one.correlation_id != two.correlation_id);
    let long = requested(&[("x-request-id", &"x".repeat(5_000))]).await.remove(0);
    assert_eq!(long.context.unwrap()["request_id"].as_str().unwrap().len(), 256);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_the_same_time_keep_apart() {
    let probe = Probe::new();
    let requests = (0..500).map(|number| {
        // As a layer that authenticates leaves it.
        let service = router().layer(Extension(User(format!("user:{number}"))));
        let request =
            Request::post("/orders").header("x-request-id", format!("r-{number}")).body(Body::empty()).unwrap();
        tokio::spawn(probe.scope(async { service.oneshot(request).await.unwrap() }))
    });
    for request in requests.collect::<Vec<_>>() {
        assert!(request.await.unwrap().status().is_success());
    }
    let events = probe.events();
    assert_eq!(events.len(), 1_000);
    for event in events {
        let id = event.context.unwrap()["request_id"].as_str().unwrap().replace('r', "user").replace('-', ":");
        assert_eq!(event.actor, id);
    }
}

#[test]
fn a_traceparent_is_a_context_like_any_other() {
    let inside = Context::new().traceparent(TRACEPARENT).correlation(ID).attribute("tenant", "acme").enter();
    let nested = Context::new().traceparent("nonsense").actor("ann").enter();
    let ((), event) = caught(check);
    drop((nested, inside));
    assert_eq!((event.actor.as_str(), event.correlation_id), ("ann", Some(ID)));
    let context = event.context.unwrap();
    assert_eq!((&context["tenant"], &context["span_id"]), (&json!("acme").into(), &json!("00f067aa0ba902b7").into()));
}

fn ids(span: &opentelemetry::trace::SpanContext) -> Json {
    json!({"trace_id": span.trace_id().to_string(), "span_id": span.span_id().to_string()}).into()
}

#[test]
fn the_current_opentelemetry_span_is_on_record() {
    let provider = SdkTracerProvider::builder().build();
    let tracer = provider.tracer("test");
    let (event, by_hand, expected) = tracer.in_span("outer", |context| {
        let probe = Probe::new();
        let entered = probe.enter();
        check();
        probe.audit().record(Event::new("order.accepted")).unwrap();
        drop(entered);
        (probe.only("order.checked"), probe.only("order.accepted"), context.span().span_context().clone())
    });
    assert_eq!(event.context, Some(ids(&expected)));
    assert_eq!(by_hand.context, Some(ids(&expected)));
    let trace = Uuid::from_bytes(expected.trace_id().to_bytes());
    assert_eq!(
        (event.correlation_id, by_hand.correlation_id),
        (Some(trace), Some(trace)),
        "it correlates what nothing else does"
    );
    assert_eq!(caught(check).1.context, None, "none outside");
}

#[tokio::test]
async fn so_is_the_span_of_tracing_that_it_came_from_also_across_an_await() {
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let probe = Probe::new();
    let call = Context::new().traceparent(TRACEPARENT).attribute("tenant", "acme").scope(place());
    let span = tracing::info_span!("request");
    let expected = {
        use tracing_opentelemetry::OpenTelemetrySpanExt;
        ids(span.context().span().span_context())
    };
    probe.scope(call.instrument(span)).await;
    for event in probe.events() {
        let context = event.context.unwrap();
        assert_eq!((&context["trace_id"], &context["span_id"]), (&expected["trace_id"], &expected["span_id"]));
        assert_eq!((&context["tenant"], event.correlation_id), (&json!("acme").into(), Some(TRACE)));
    }
}

#[tokio::test]
async fn a_layer_adds_the_tenant_and_the_attributes_that_the_application_finds() {
    let layer = ContextLayer::new()
        .tenant(|request| request.headers.get("x-tenant")?.to_str().ok().map(str::to_owned))
        .attribute("path", |request| Some(request.uri.path().to_owned()))
        .attribute("request_id", |_| Some(17))
        .attribute("nothing", |_| None::<u8>);
    let router = Router::new().route("/orders", post(place)).layer(layer);
    for (header, tenant) in [("x-tenant", Some("acme")), ("x-other", None)] {
        let probe = Probe::new();
        let request = Request::post("/orders").header(header, "acme").header("x-request-id", "r-17");
        probe.scope(router.clone().oneshot(request.body(Body::empty()).unwrap())).await.unwrap();
        for event in probe.events() {
            assert_eq!(event.tenant.as_deref(), tenant);
            assert_eq!(event.context.unwrap(), json!({"path": "/orders", "request_id": 17}));
        }
    }
}

#[tokio::test]
async fn a_context_through_a_channel_or_a_message_keeps_the_request_together() {
    #[audited(event = "order.queued", id = none, skip_all)]
    async fn enqueue(jobs: &tokio::sync::mpsc::Sender<(Context, Vec<(&'static str, String)>)>) {
        let context = Context::current();
        let headers = context.to_headers();
        jobs.send((context, headers)).await.unwrap();
    }
    let (sender, mut jobs) = tokio::sync::mpsc::channel(1);
    for context in [Context::new(), Context::new().actor("user:kim").tenant("acme").reason("ticket 4711")] {
        let probe = Probe::new();
        probe.scope(context.scope(enqueue(&sender))).await;
        let (context, headers) = jobs.recv().await.unwrap();
        probe.scope(context.clone().scope(async { check() })).await;
        probe.scope(Context::from_headers(headers).scope(async { check() })).await;
        let events = probe.events();
        let same = |event: &TrailEvent| {
            (event.actor.clone(), event.tenant.clone(), event.correlation_id, event.context.clone())
        };
        assert_eq!(same(&events[1]), same(&events[0]), "by a channel");
        assert_eq!(same(&events[2]), same(&events[0]), "by headers");
        assert_eq!(events[1].causation_id, None, "a job is no part of the call");
    }
}
