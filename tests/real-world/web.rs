//! Handlers of axum, called by way of their router.

use crate::scene::{ID, Row, error, ok, recorded};
use audit_runtime::{EntityId, audited};
use axum::body::Body;
use axum::extract::{Extension, Form, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("order not found")]
    NotFound,
    #[error("{0} must be positive")]
    Invalid(&'static str),
    #[error("{0} may not do that")]
    Forbidden(String),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

type AppResult<T> = Result<T, AppError>;
type ApiResult<T> = AppResult<Json<T>>;

#[derive(Clone, Default)]
struct AppState {
    orders: Arc<Mutex<HashMap<Uuid, Order>>>,
}

impl AppState {
    fn find(&self, id: Uuid) -> AppResult<Order> {
        self.orders.lock().unwrap().get(&id).cloned().ok_or(AppError::NotFound)
    }
}

#[derive(Debug, Deserialize, Serialize)]
struct NewOrder {
    ticker: String,
    quantity: u32,
}

#[derive(Debug, Clone, Serialize)]
struct Order {
    id: Uuid,
    ticker: String,
    quantity: u32,
}

#[derive(Debug, Deserialize, Serialize)]
struct Page {
    limit: usize,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

#[derive(Clone, Serialize)]
struct CurrentUser {
    name: String,
    admin: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = AppError;

    // 1. An extractor that authenticates: 3.
    #[audited(event = "user.known", id = none, fields(path = parts.uri.path()))]
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let name = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
        let name = name.ok_or(AppError::Forbidden("nobody".to_owned()))?.to_owned();
        Ok(Self { admin: name == "ann", name })
    }
}

// 2. `Result<Json<T>, AppError>`: 2.
#[audited(event = "order.created", id = |order| order.id)]
async fn create_order(State(state): State<AppState>, Json(order): Json<NewOrder>) -> Result<Json<Order>, AppError> {
    if order.quantity == 0 {
        return Err(AppError::Invalid("quantity"));
    }
    let order = Order { id: ID, ticker: order.ticker, quantity: order.quantity };
    state.orders.lock().unwrap().insert(order.id, order.clone());
    Ok(Json(order))
}

// 3. `Result<impl IntoResponse, AppError>`: 1.
#[audited(event = "order.shown")]
async fn show_order(State(state): State<AppState>, Path(order_id): Path<Uuid>) -> Result<impl IntoResponse, AppError> {
    let order = state.find(order_id)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(order)))
}

// 4. `impl IntoResponse` of several responses: 1.
#[audited(event = "order.exported")]
async fn export_order(State(state): State<AppState>, Path(order_id): Path<Uuid>) -> impl IntoResponse {
    match state.find(order_id) {
        Ok(order) => (StatusCode::OK, order.ticker).into_response(),
        Err(error) => error.into_response(),
    }
}

// 5. An extractor of the application's own, and a status: 3.
#[audited(event = "order.cancelled", actor = user.name, skip(user))]
async fn cancel_order(
    user: CurrentUser,
    State(state): State<AppState>,
    Path(order_id): Path<Uuid>,
) -> AppResult<StatusCode> {
    if !user.admin {
        return Err(AppError::Forbidden(user.name));
    }
    state.orders.lock().unwrap().remove(&order_id).ok_or(AppError::NotFound)?;
    Ok(StatusCode::NO_CONTENT)
}

// 6. An alias of an alias, a query and an extension: 3.
#[axum::debug_handler(state = AppState)]
#[audited(event = "orders.listed", id = none, only(page))]
async fn list_orders(
    State(AppState { orders }): State<AppState>,
    Extension(user): Extension<CurrentUser>,
    Query(page): Query<Page>,
) -> ApiResult<Vec<Order>> {
    if page.limit == 0 {
        return Err(AppError::Invalid("limit"));
    }
    if !user.admin {
        return Err(anyhow::anyhow!("no shard").context("cannot list").into());
    }
    Ok(Json(orders.lock().unwrap().values().take(page.limit).cloned().collect()))
}

// 7. A status beside the body: 1.
#[audited(event = "order.replaced")]
async fn replace_order(
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    Json(order): Json<NewOrder>,
) -> AppResult<(StatusCode, Json<Order>)> {
    let order = Order { id, ticker: order.ticker, quantity: order.quantity };
    let status = match state.orders.lock().unwrap().insert(id, order.clone()) {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    Ok((status, Json(order)))
}

// 8. A form with a password, and a name that is the user's key: 3.
#[audited(event = "user.logged_in", id = form.username, skip(form))]
async fn log_in(
    State(_state): State<AppState>,
    Form(form): Form<Credentials>,
) -> Result<Redirect, (StatusCode, String)> {
    if form.password != "correct horse" {
        return Err((StatusCode::UNAUTHORIZED, format!("{} is not known here", form.username)));
    }
    Ok(Redirect::to("/orders"))
}

// 9. A middleware of a function: 3.
#[audited(event = "request.admitted", id = none, skip(user))]
async fn admit(user: CurrentUser, mut request: Request, next: Next) -> AppResult<Response> {
    if user.name == "mallory" {
        return Err(AppError::Forbidden(user.name));
    }
    request.extensions_mut().insert(user);
    Ok(next.run(request).await)
}

// 10. A middleware that answers by itself: 3.
#[audited(event = "request.passed", err = "request.limited", id = none)]
async fn limit(request: Request, next: Next) -> Result<Response, Response> {
    if request.headers().contains_key("x-flood") {
        return Err((StatusCode::TOO_MANY_REQUESTS, [(header::SET_COOKIE, "session=7")]).into_response());
    }
    Ok(next.run(request).await)
}

fn router() -> Router {
    let state = AppState::default();
    Router::new()
        .route("/orders", post(create_order))
        .route("/orders/{id}", get(show_order).put(replace_order))
        .route("/orders/{id}/export", get(export_order))
        .route("/orders/{id}", delete(cancel_order))
        .route("/login", post(log_in))
        .merge(Router::new().route("/orders", get(list_orders)).route_layer(middleware::from_fn(admit)))
        .with_state(state)
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    axum::http::Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json")
}

async fn answer(router: &Router, request: axum::http::request::Builder, body: Value) -> u16 {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    router.clone().oneshot(request.body(body).unwrap()).await.unwrap().status().as_u16()
}

fn known(path: &str, user: &str) -> Row {
    ok("user.known", None, json!({"path": path, "result": {"name": user, "admin": user == "ann"}}))
}

fn message(text: &str) -> Value {
    json!({"message": text, "causes": []})
}

#[tokio::test]
async fn handlers_with_extractors_record_what_they_return_and_what_they_refuse() {
    let router = router();
    let order = |quantity| json!({"ticker": "AAPL", "quantity": quantity});
    let path = format!("/orders/{ID}");
    let (statuses, rows) = recorded(async {
        [
            answer(&router, request("POST", "/orders"), order(0)).await,
            answer(&router, request("POST", "/orders"), order(5)).await,
            answer(&router, request("GET", &path), Value::Null).await,
            answer(&router, request("GET", &format!("{path}/export")), Value::Null).await,
            answer(&router, request("DELETE", &path), Value::Null).await,
            answer(&router, request("DELETE", &path).header("x-user", "bob"), Value::Null).await,
            answer(&router, request("DELETE", &path).header("x-user", "ann"), Value::Null).await,
            answer(&router, request("GET", &path), Value::Null).await,
            answer(&router, request("GET", &format!("{path}/export")), Value::Null).await,
            answer(&router, request("PUT", &path), order(6)).await,
        ]
    })
    .await;
    assert_eq!(statuses, [422, 200, 200, 200, 403, 403, 204, 404, 404, 201]);
    let stored = json!({"id": ID, "ticker": "AAPL", "quantity": 5});
    let expected = [
        error("order.created", None, json!({"order": order(0), "error": message("quantity must be positive")})),
        ok("order.created", ID, json!({"order": order(5), "result": stored})),
        ok("order.shown", ID, json!({"order_id": ID, "result": 200})),
        ok("order.exported", ID, json!({"order_id": ID, "result": 200})),
        error("user.known", None, json!({"path": path, "error": message("nobody may not do that")})),
        known(&path, "bob"),
        error("order.cancelled", ID, json!({"order_id": ID, "error": message("bob may not do that")})),
        known(&path, "ann"),
        ok("order.cancelled", ID, json!({"order_id": ID, "result": 204})),
        error("order.shown", ID, json!({"order_id": ID, "error": message("order not found")})),
        error("order.exported", ID, json!({"order_id": ID, "result": 404})),
        ok("order.replaced", ID, json!({"id": ID, "order": order(6), "result": 201})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_middleware_records_the_answer_of_what_it_wraps() {
    let router = router();
    let list = |limit: u8, user: &str| request("GET", &format!("/orders?limit={limit}")).header("x-user", user);
    let (statuses, rows) = recorded(async {
        let mut statuses = Vec::new();
        for (limit, user) in [(3, "ann"), (0, "ann"), (3, "bob"), (3, "mallory")] {
            statuses.push(answer(&router, list(limit, user), Value::Null).await);
        }
        statuses
    })
    .await;
    assert_eq!(statuses, [200, 422, 500, 403]);
    let admitted = |status: u16| {
        let row = if status < 400 { ok } else { error };
        row("request.admitted", None::<Uuid>, json!({"result": status}))
    };
    let listed = json!({"message": "cannot list", "causes": ["no shard"]});
    let expected = [
        known("/orders", "ann"),
        admitted(200),
        ok("orders.listed", None, json!({"page": {"limit": 3}, "result": []})),
        known("/orders", "ann"),
        admitted(422),
        error("orders.listed", None, json!({"page": {"limit": 0}, "error": message("limit must be positive")})),
        known("/orders", "bob"),
        admitted(500),
        error("orders.listed", None, json!({"page": {"limit": 3}, "error": listed})),
        known("/orders", "mallory"),
        error("request.admitted", None, json!({"error": message("mallory may not do that")})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_response_in_place_of_an_error_is_recorded_by_its_status() {
    let router = Router::new().route("/", get(async || StatusCode::NO_CONTENT)).layer(middleware::from_fn(limit));
    let (statuses, rows) = recorded(async {
        [
            answer(&router, request("GET", "/"), Value::Null).await,
            answer(&router, request("GET", "/none"), Value::Null).await,
            answer(&router, request("GET", "/").header("x-flood", "1"), Value::Null).await,
        ]
    })
    .await;
    assert_eq!(statuses, [204, 404, 429]);
    let expected = [
        ok("request.passed", None, json!({"result": 204})),
        error("request.limited", None, json!({"result": 404})),
        error("request.limited", None, json!({"error": message("429 Too Many Requests")})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_login_leaves_no_password_behind() {
    let router = router();
    let log_in = |password: &str| {
        let body = Body::from(format!("username=ann&password={password}"));
        let form = "application/x-www-form-urlencoded";
        Request::post("/login").header(header::CONTENT_TYPE, form).body(body).unwrap()
    };
    let ((), rows) = recorded(async {
        for (password, status) in [("guess", 401), ("correct+horse", 303)] {
            assert_eq!(router.clone().oneshot(log_in(password)).await.unwrap().status(), status);
        }
    })
    .await;
    let refused = json!({"error": message("401 Unauthorized: ann is not known here")});
    let EntityId::Id(ann) = EntityId::named("user", "ann") else { unreachable!() };
    assert_eq!(rows, [error("user.logged_in", ann, refused), ok("user.logged_in", ann, json!({"result": 303}))]);
}
