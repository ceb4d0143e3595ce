//! One function, annotated in each of the ways.

#![allow(dead_code, reason = "each benchmark uses some of it")]

use audit_runtime::{Audit, audited};
use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use fastrace::prelude::Span;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter};
use serde::Serialize;
use sqlx::PgPool;
use std::cell::Cell;
use std::fmt::Error;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Poll, Waker};
use tempfile::TempDir;
use tests::Database;
use tracing::Dispatch;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::fmt::format::FmtSpan;
use uuid::Uuid;

/// Another id for each call of a thread. Other threads have other ids.
pub(crate) fn next_id() -> Uuid {
    thread_local! {
        static NEXT: Cell<u128> = const { Cell::new(0) };
    }
    let id = match NEXT.get() {
        0 => Uuid::new_v4().as_u128(),
        id => id,
    };
    NEXT.set(id + (1 << 64));
    Uuid::from_u128(id)
}

/// The arguments of a call.
#[derive(Debug, Serialize)]
pub(crate) struct Order {
    #[serde(skip)]
    pub(crate) id: Uuid,
    pub(crate) ticker: &'static str,
    pub(crate) side: &'static str,
    pub(crate) quantity: u64,
    pub(crate) limit_price: f64,
}

impl Default for Order {
    fn default() -> Self {
        Self { id: next_id(), ticker: "AAPL", side: "buy", quantity: 1_200, limit_price: 187.25 }
    }
}

/// Calls a function as the compiler cannot foresee.
pub(crate) fn call<R>(function: impl FnOnce(&Order) -> R) -> R {
    black_box(function(black_box(&Order::default())))
}

/// The body of each of the functions.
#[inline(always)]
fn submit_at_broker(id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    black_box((id, ticker, side, limit_price));
    if quantity == 0 { Err(Error) } else { Ok(quantity) }
}

#[inline(never)]
fn submit_bare(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    submit_at_broker(order_id, ticker, side, quantity, limit_price)
}

pub(crate) fn bare(order: &Order) -> Result<u64, Error> {
    submit_bare(order.id, order.ticker, order.side, order.quantity, order.limit_price)
}

#[audited(event = "order.submitted")]
#[inline(never)]
fn submit_audited(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    submit_at_broker(order_id, ticker, side, quantity, limit_price)
}

pub(crate) fn submit(order: &Order) -> Result<u64, Error> {
    submit_audited(order.id, order.ticker, order.side, order.quantity, order.limit_price)
}

#[audited(event = "order.submitted", when = quantity == 0)]
#[inline(never)]
fn submit_unwanted(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    submit_at_broker(order_id, ticker, side, quantity, limit_price)
}

pub(crate) fn unwanted(order: &Order) -> Result<u64, Error> {
    submit_unwanted(order.id, order.ticker, order.side, order.quantity, order.limit_price)
}

/// A value that a call returns.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    number: u64,
    ticker: &'static str,
    side: &'static str,
    limit_price: f64,
}

#[audited(event = "order.accepted", id = order.id)]
#[inline(never)]
fn accept_audited(order: &Order) -> Accepted {
    black_box(order);
    Accepted { number: order.quantity, ticker: order.ticker, side: order.side, limit_price: order.limit_price }
}

/// A structure as the argument, and another as the result.
pub(crate) fn structured(order: &Order) -> Accepted {
    accept_audited(order)
}

#[audited(event = "order.refused")]
#[inline(never)]
fn refuse_audited(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    black_box((order_id, ticker, side, quantity, limit_price));
    Err(Error)
}

/// A call that fails.
pub(crate) fn refused(order: &Order) -> Result<u64, Error> {
    refuse_audited(order.id, order.ticker, order.side, order.quantity, order.limit_price)
}

#[audited(event = "order.awaited")]
#[inline(never)]
async fn await_audited(
    order_id: Uuid,
    ticker: &str,
    side: &str,
    quantity: u64,
    limit_price: f64,
) -> Result<u64, Error> {
    submit_at_broker(order_id, ticker, side, quantity, limit_price)
}

/// A future, which is ready when it is polled.
pub(crate) fn awaited(order: &Order) -> Poll<Result<u64, Error>> {
    let future = pin!(await_audited(order.id, order.ticker, order.side, order.quantity, order.limit_price));
    future.poll(&mut std::task::Context::from_waker(Waker::noop()))
}

#[audited(event = "order.requested")]
#[inline(never)]
fn request_audited(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    submit_at_broker(order_id, ticker, side, quantity, limit_price)
}

/// A call, to be made in a context.
pub(crate) fn requested(order: &Order) -> Result<u64, Error> {
    request_audited(order.id, order.ticker, order.side, order.quantity, order.limit_price)
}

#[tracing::instrument(ret, err)]
#[inline(never)]
fn submit_traced(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    submit_at_broker(order_id, ticker, side, quantity, limit_price)
}

pub(crate) fn traced(order: &Order) -> Result<u64, Error> {
    submit_traced(order.id, order.ticker, order.side, order.quantity, order.limit_price)
}

#[fastrace::trace(properties = {
    "order_id": "{order_id}", "ticker": "{ticker}", "side": "{side}", "quantity": "{quantity}", "limit_price": "{limit_price}"
})]
#[inline(never)]
fn submit_fast_traced(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    submit_at_broker(order_id, ticker, side, quantity, limit_price)
}

pub(crate) fn fast_traced(order: &Order) -> Result<u64, Error> {
    submit_fast_traced(order.id, order.ticker, order.side, order.quantity, order.limit_price)
}

/// A log of JSON lines, written to a file by another thread, that drops what it cannot keep up
/// with.
pub(crate) struct JsonLog {
    subscriber: Dispatch,
    _worker: WorkerGuard,
    _directory: TempDir,
}

impl JsonLog {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(directory.path().join("log")).unwrap();
        let (writer, worker) = tracing_appender::non_blocking(file);
        let subscriber = tracing_subscriber::fmt().json().with_span_events(FmtSpan::CLOSE).with_writer(writer).finish();
        Self { subscriber: subscriber.into(), _worker: worker, _directory: directory }
    }

    /// Logs what this thread does meanwhile.
    pub(crate) fn log<R>(&self, run: impl FnOnce() -> R) -> R {
        tracing::dispatcher::with_default(&self.subscriber, run)
    }
}

#[derive(Debug)]
struct Dropped;

impl Reporter for Dropped {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        black_box(spans);
    }
}

impl SpanExporter for Dropped {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        black_box(spans);
        Ok(())
    }
}

pub(crate) fn install_fastrace() {
    fastrace::set_reporter(Dropped, Config::default());
}

pub(crate) fn root_span<R>(run: impl FnOnce() -> R) -> R {
    let root = Span::root("request", SpanContext::random());
    let _guard = root.set_local_parent();
    run()
}

/// A tracer whose spans are batched for an exporter that drops them.
pub(crate) fn opentelemetry() -> SdkTracer {
    SdkTracerProvider::builder().with_batch_exporter(Dropped).build().tracer("bench")
}

/// As its users write it by hand.
pub(crate) fn open(tracer: &SdkTracer, order: &Order) -> Result<u64, Error> {
    let mut span = tracer.start("submit");
    span.set_attributes([
        KeyValue::new("order_id", order.id.to_string()),
        KeyValue::new("ticker", order.ticker.to_owned()),
        KeyValue::new("side", order.side.to_owned()),
        KeyValue::new("quantity", order.quantity as i64),
        KeyValue::new("limit_price", order.limit_price),
    ]);
    let result = bare(order);
    if let Ok(quantity) = result {
        span.set_attribute(KeyValue::new("result", quantity as i64));
    }
    span.end();
    result
}

/// The existing system's table.
pub(crate) async fn make_plain_table(database: &Database) {
    let sql = "CREATE TABLE plain AS TABLE audit_events; ALTER TABLE plain ADD PRIMARY KEY (id)";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
}

/// As the existing system does it: the row is in the database when the call returns.
pub(crate) async fn insert(pool: &PgPool, order: &Order) {
    let sql = "INSERT INTO plain (id, event_type, entity_type, entity_id, actor, data, created_at) VALUES ($1, $2, $3, $4, $5, $6, now())";
    let event =
        sqlx::query(sql).bind(Uuid::now_v7()).bind("order.submitted").bind("order").bind(order.id).bind("system");
    event.bind(sqlx::types::Json(order)).execute(pool).await.unwrap();
}

/// A trail as an application starts it.
pub(crate) fn start(database: &Database) -> Audit {
    let audit = Audit::builder().postgres(database.url.as_str()).journal(database.journals.path());
    audit.service("bench").start().unwrap()
}

/// Every row is there, and holds what a call is given and gives.
pub(crate) async fn all_rows_are_whole(database: &Database, recorded: u64) {
    assert_eq!(u64::try_from(database.events().await), Ok(recorded));
    let whole = "SELECT count(*) FROM audit_events WHERE batch_id IS NOT NULL AND duration_us >= 0 \
        AND (event_type IN ('order.accepted', 'order.awaited', 'order.requested') AND outcome = 'ok' \
        OR event_type = 'order.refused' AND outcome = 'error' OR outcome = 'ok' \
        AND correlation_id = id AND origin LIKE 'bench@%' AND actor = 'system' AND (event_type = 'portfolio.valued' \
        AND jsonb_array_length(data->'portfolio'->'positions') = 23 OR event_type = 'order.submitted' AND entity_type = 'order' \
        AND data = jsonb_build_object('order_id', entity_id, 'ticker', 'AAPL', 'side', 'buy', 'quantity', 1200, \
        'limit_price', 187.25, 'result', 1200)))";
    assert_eq!(u64::try_from(database.count(whole).await), Ok(recorded));
}
