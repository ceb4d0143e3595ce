//! Shapes of real services, as their authors write them: each fails once, and none says `fallible`.

#![allow(clippy::unused_async, clippy::too_many_arguments, reason = "they are as they were found")]

use crate::support::{ID, caught, caught_later};
use async_trait::async_trait;
use audit_runtime::{Outcome, TrailEvent, audited};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Acquire, PgConnection, PgExecutor, PgPool, Postgres, Transaction};
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("not found")]
    NotFound,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Unrecorded(#[from] audit_runtime::RecordError),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        StatusCode::NOT_FOUND.into_response()
    }
}

type AppResult<T, E = AppError> = Result<T, E>;
type EmptyResult = AppResult<()>;
type JsonResult = AppResult<Json<serde_json::Value>>;

#[derive(Debug, Clone, Default)]
struct App {
    orders: Arc<Mutex<Vec<Uuid>>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NewOrder {
    ticker: String,
    quantity: u32,
}

#[derive(Debug, Clone, Serialize)]
struct Order {
    id: Uuid,
    quantity: u32,
}

// 1. A handler of axum whose error becomes a response.
#[audited(event = "order.created", id = none, only(body))]
async fn create_order(State(app): State<App>, _headers: HeaderMap, Json(body): Json<NewOrder>) -> AppResult<Response> {
    if body.quantity == 0 {
        return Err(AppError::NotFound);
    }
    app.orders.lock().unwrap().push(ID);
    Ok(StatusCode::CREATED.into_response())
}

// 2. A handler that answers with a status.
#[audited(event = "order.shown", id = id, skip(app))]
async fn show_order(State(app): State<App>, Path(id): Path<Uuid>) -> impl IntoResponse {
    let found = app.orders.lock().unwrap().contains(&id);
    if found { StatusCode::OK.into_response() } else { StatusCode::NOT_FOUND.into_response() }
}

// 3. vaultwarden: an alias of a JSON answer, another of none.
#[audited(event = "user.deauthorised", id = user_id, skip(connection))]
async fn deauthorise_user(user_id: Uuid, connection: &App) -> EmptyResult {
    if connection.orders.lock().unwrap().is_empty() { Err(AppError::NotFound) } else { Ok(()) }
}

// 4. The other.
#[audited(event = "password.changed", id = none, skip_all, result = skip)]
async fn post_password(data: Json<NewOrder>, _headers: HeaderMap) -> JsonResult {
    if data.quantity == 0 { Err(AppError::NotFound) } else { Ok(Json(json!({}))) }
}

// 5. lemmy: a context by reference.
#[audited(event = "comment.removed", entity = "comment", id = data.id, skip(context))]
async fn remove_comment(data: &Order, context: &App) -> AppResult<Order> {
    context.orders.lock().unwrap().pop().map(|id| Order { id, quantity: data.quantity }).ok_or(AppError::NotFound)
}

/// 6. omicron: results by the name of what they do.
type DeleteResult = Result<(), AppError>;
struct Nexus;
impl Nexus {
    #[audited(event = "disk.deleted", id = disk_id, err = "disk.kept")]
    async fn project_delete_disk(self: &Arc<Self>, disk_id: Uuid) -> DeleteResult {
        Err(AppError::NotFound)
    }
}

// 7. A repository over a connection.
#[audited(event = "user.renamed", skip(connection))]
async fn rename_user(connection: &mut PgConnection, user_id: Uuid, name: &str) -> AppResult<(), sqlx::Error> {
    sqlx::query("UPDATE users SET name = $2 WHERE id = $1").bind(user_id).bind(name).execute(connection).await?;
    Ok(())
}

// 8. Over any executor.
#[audited(event = "user.removed", skip(executor))]
async fn remove_user<'e>(executor: impl PgExecutor<'e>, user_id: Uuid) -> AppResult<u64> {
    Ok(sqlx::query("DELETE FROM users WHERE id = $1").bind(user_id).execute(executor).await?.rows_affected())
}

// 9. Over whatever gives a connection.
#[audited(event = "user.moved", skip(from))]
async fn move_user<'c, A: Acquire<'c, Database = Postgres> + Send>(from: A, user_id: Uuid) -> AppResult<()> {
    let mut connection = from.acquire().await?;
    sqlx::query("SELECT $1").bind(user_id).execute(&mut *connection).await?;
    Ok(())
}

// 10. In the caller's transaction, and required.
#[audited(event = "balance.changed", id = account, tx = tx, required)]
async fn change_balance(tx: &mut Transaction<'_, Postgres>, account: Uuid, cents: i64) -> AppResult<i64> {
    sqlx::query("SELECT 1").execute(&mut **tx).await?;
    Ok(cents)
}

/// 11. tonic: a method of an `#[async_trait]` service.
struct Request<T>(T);
#[derive(Debug)]
struct Status(&'static str);
#[async_trait]
trait OrderService {
    async fn place_order(&self, request: Request<NewOrder>) -> Result<Request<u8>, Status>;
}
#[async_trait]
impl OrderService for App {
    #[audited(event = "order.placed", id = none, result = skip, error = |status| status.0)]
    async fn place_order(&self, Request(order): Request<NewOrder>) -> Result<Request<u8>, Status> {
        if order.quantity == 0 { Err(Status("invalid argument")) } else { Ok(Request(1)) }
    }
}

/// 12. tower: the future written out.
impl tower::Service<Uuid> for App {
    type Response = u8;
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<u8, AppError>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<AppResult<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    #[audited(event = "order.called")]
    fn call(&mut self, order_id: Uuid) -> Pin<Box<dyn Future<Output = AppResult<u8>> + Send>> {
        Box::pin(async move { if order_id.is_nil() { Err(AppError::NotFound) } else { Ok(1) } })
    }
}

/// 13. hyperswitch: a payment of many generics.
trait Operation<F, R> {
    fn run(&self, flow: F, request: R) -> RouterResult<u8>;
}
type RouterResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
struct Refuse;
impl<F, R> Operation<F, R> for Refuse {
    fn run(&self, _: F, _: R) -> RouterResult<u8> {
        Err("no connector".into())
    }
}
#[audited(event = "payment.made", err = "payment.failed", id = payment_id, only(?request))]
async fn payments_core<F, R, Op, Req>(operation: &Op, flow: F, request: Req, payment_id: Uuid) -> RouterResult<u8>
where
    F: Send,
    Op: Operation<F, R> + Sync,
    Req: Into<R> + std::fmt::Debug + Send,
{
    operation.run(flow, request.into())
}

/// 14. A state machine that is consumed.
#[derive(Debug, Serialize)]
struct Draft {
    id: Uuid,
}
#[derive(Debug, Serialize)]
struct Submitted {
    id: Uuid,
}
impl Draft {
    #[audited(event = "order.submitted", id = self.id)]
    fn submit(self, limit: u32) -> Result<Submitted, (Self, String)> {
        if limit == 0 { Err((self, "no limit".to_owned())) } else { Ok(Submitted { id: self.id }) }
    }
}

// 15. A worker that takes from a queue; nothing there is no event of note.
#[audited(event = "job.done", id = |job| job.as_ref().map(|job| job.id), when = |job| job.is_some(), skip(app))]
async fn next_job(app: &App, worker: &str) -> Option<Order> {
    app.orders.lock().unwrap().pop().map(|id| Order { id, quantity: 1 })
}

// 16. nautilus: greeks, and a state that changes.
struct Engine {
    trading_state: &'static str,
}
impl Engine {
    #[audited(event = "state.set", id = none, changes(self.trading_state), ok = |set| *set)]
    fn set_trading_state(&mut self, state: &'static str) -> bool {
        let differs = self.trading_state != state;
        self.trading_state = state;
        differs
    }
}

// 17. An error that only displays, by a generic alias.
#[audited(event = "file.read", id = none)]
fn read<E: Display + From<&'static str>>(name: &str) -> AppResult<String, E> {
    if name.is_empty() { Err("no name".into()) } else { Ok(name.to_uppercase()) }
}

fn failed(event: &TrailEvent, event_type: &str) {
    assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Error, event_type), "{event:?}");
}

#[test]
fn what_fails_is_an_error() {
    let app = App::default;
    let order = |quantity| Json(NewOrder { ticker: "AAPL".to_owned(), quantity });
    let later = |call: Pin<Box<dyn Future<Output = bool>>>| caught_later(call).1;
    let created = later(Box::pin(async move { create_order(State(app()), HeaderMap::new(), order(0)).await.is_ok() }));
    failed(&created, "order.created");
    assert_eq!(created.data["body"], json!({"ticker": "AAPL", "quantity": 0}));
    let created = later(Box::pin(async move { create_order(State(app()), HeaderMap::new(), order(1)).await.is_ok() }));
    assert_eq!((created.outcome, &created.data["result"]), (Outcome::Ok, &json!(201).into()));
    let shown =
        later(Box::pin(async move { show_order(State(app()), Path(ID)).await.into_response().status().is_success() }));
    failed(&shown, "order.shown");
    assert_eq!((shown.entity_id, &shown.data["result"]), (Some(ID), &json!(404).into()));
    failed(&later(Box::pin(async move { deauthorise_user(ID, &app()).await.is_ok() })), "user.deauthorised");
    failed(
        &later(Box::pin(async move { post_password(order(0), HeaderMap::new()).await.is_ok() })),
        "password.changed",
    );
    let data = Order { id: ID, quantity: 1 };
    failed(&later(Box::pin(async move { remove_comment(&data, &app()).await.is_ok() })), "comment.removed");
    failed(&later(Box::pin(async move { Arc::new(Nexus).project_delete_disk(ID).await.is_ok() })), "disk.kept");
    let placed = later(Box::pin(async move { app().place_order(Request(order(0).0)).await.is_ok() }));
    failed(&placed, "order.placed");
    assert_eq!(placed.data["error"], "invalid argument");
    assert_eq!(placed.data["order"]["ticker"], "AAPL");
    failed(
        &later(Box::pin(async move { tower::Service::call(&mut app(), Uuid::nil()).await.is_ok() })),
        "order.called",
    );
    failed(
        &later(Box::pin(async { payments_core::<_, u8, _, _>(&Refuse, (), 7_u8, ID).await.is_ok() })),
        "payment.failed",
    );
    failed(&caught(|| Draft { id: ID }.submit(0).is_ok()).1, "order.submitted");
    failed(&caught(|| Engine { trading_state: "open" }.set_trading_state("open")).1, "state.set");
    failed(&caught(|| read::<String>("").is_ok()).1, "file.read");
    let busy = App { orders: Arc::new(Mutex::new(vec![ID])) };
    let job = later(Box::pin(async move { next_job(&busy, "w1").await.is_some() }));
    assert_eq!((job.outcome, job.entity_id), (Outcome::Ok, Some(ID)));
}

/// A pool that nobody answers: what a repository makes of that is an error.
#[tokio::test]
async fn what_the_database_refuses_is_an_error() {
    let pool = PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    pool.close().await;
    let probe = audit_runtime::testing::Probe::new();
    probe
        .scope(async {
            remove_user(&pool, ID).await.unwrap_err();
            move_user(&pool, ID).await.unwrap_err();
        })
        .await;
    for event in probe.events() {
        assert_eq!((event.outcome, event.entity_id), (Outcome::Error, Some(ID)));
        assert!(event.data["error"]["message"].as_str().unwrap().contains("closed"), "{event:?}");
    }
    assert_eq!(probe.events().len(), 2);
    // It is enough that these compile: the rest is in the suite that has a database.
    let _ = (rename_user, change_balance);
}
