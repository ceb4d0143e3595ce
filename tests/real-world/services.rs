//! Functions as applications of open source have them: aliases by the name of what they do, errors
//! of many kinds.

use crate::scene::{ID, error, ok, recorded};
use audit_runtime::audited;
use axum::Json;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("not found")]
    NotFound,
}

type AppResult<T, E = AppError> = Result<T, E>;
type EmptyResult = AppResult<()>;
type JsonResult = AppResult<Json<Value>>;

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

// 38. vaultwarden: an alias of a result of nothing: 3.
#[audited(event = "user.deauthorised", id = user_id, skip(connection))]
async fn deauthorise_user(user_id: Uuid, connection: &App) -> EmptyResult {
    if connection.orders.lock().unwrap().is_empty() { Err(AppError::NotFound) } else { Ok(()) }
}

// 39. Another of an answer in JSON: 2.
#[audited(event = "password.changed", id = none)]
async fn post_password(data: Json<NewOrder>, _headers: HeaderMap) -> JsonResult {
    if data.quantity == 0 { Err(AppError::NotFound) } else { Ok(Json(json!({}))) }
}

// 40. lemmy: a context by reference: 3.
#[audited(event = "comment.removed", id = data.id, skip(context))]
async fn remove_comment(data: &Order, context: &App) -> AppResult<Order> {
    context.orders.lock().unwrap().pop().map(|id| Order { id, quantity: data.quantity }).ok_or(AppError::NotFound)
}

/// 41. omicron: results by the name of what they do, `self` in an `Arc`: 2.
type DeleteResult = Result<(), AppError>;
struct Nexus {
    kept: Uuid,
}
impl Nexus {
    #[audited(event = "disk.deleted", err = "disk.kept")]
    async fn project_delete_disk(self: &Arc<Self>, disk_id: Uuid) -> DeleteResult {
        if disk_id == self.kept { Err(AppError::NotFound) } else { Ok(()) }
    }
}

// 42. An error that only displays, by a generic alias: 2.
#[audited(event = "file.read", id = none)]
fn read<E: Display + From<&'static str>>(name: &str) -> AppResult<String, E> {
    if name.is_empty() { Err("no name".into()) } else { Ok(name.to_uppercase()) }
}

// 43. A boxed error: 2.
#[audited(event = "rates.parsed", id = none)]
fn parse_rates(text: &str) -> Result<Vec<f64>, Box<dyn std::error::Error + Send + Sync>> {
    text.split(' ').map(|rate| Ok(rate.parse()?)).collect()
}

// 44. `anyhow`, with context: 2.
#[audited(event = "configuration.loaded", id = none)]
fn load(text: &str) -> anyhow::Result<NewOrder> {
    use anyhow::Context;
    serde_json::from_str(text).context("the configuration")
}

fn message(text: &str, causes: &[&str]) -> Value {
    json!({"message": text, "causes": causes})
}

#[tokio::test]
async fn aliases_say_what_a_call_does_and_the_trail_whether_it_did() {
    let busy = || App { orders: Arc::new(Mutex::new(vec![ID])) };
    let order = |quantity| Json(NewOrder { ticker: "AAPL".to_owned(), quantity });
    let ((), rows) = recorded(async {
        deauthorise_user(ID, &App::default()).await.unwrap_err();
        deauthorise_user(ID, &busy()).await.unwrap();
        post_password(order(0), HeaderMap::new()).await.unwrap_err();
        assert_eq!(post_password(order(1), HeaderMap::new()).await.unwrap().0, json!({}));
        let data = Order { id: ID, quantity: 1 };
        remove_comment(&data, &App::default()).await.unwrap_err();
        remove_comment(&data, &busy()).await.unwrap();
        let nexus = Arc::new(Nexus { kept: ID });
        nexus.project_delete_disk(ID).await.unwrap_err();
        nexus.project_delete_disk(Uuid::nil()).await.unwrap();
    })
    .await;
    let not_found = || message("not found", &[]);
    let data = json!({"id": ID, "quantity": 1});
    let ordered = |quantity| json!({"ticker": "AAPL", "quantity": quantity});
    let expected = [
        error("user.deauthorised", ID, json!({"user_id": ID, "error": not_found()})),
        ok("user.deauthorised", ID, json!({"user_id": ID})),
        error("password.changed", None, json!({"data": ordered(0), "error": not_found()})),
        ok("password.changed", None, json!({"data": ordered(1), "result": {}})),
        error("comment.removed", ID, json!({"data": data, "error": not_found()})),
        ok("comment.removed", ID, json!({"data": data, "result": data})),
        error("disk.kept", ID, json!({"disk_id": ID, "error": not_found()})),
        ok("disk.deleted", Uuid::nil(), json!({"disk_id": Uuid::nil()})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn errors_of_every_kind_leave_their_words() {
    let text = r#"{"ticker": "AAPL"}"#;
    let ((), rows) = recorded(async {
        read::<String>("").unwrap_err();
        read::<String>("a").unwrap();
        parse_rates("1.5 x").unwrap_err();
        parse_rates("1.5 2").unwrap();
        load(text).unwrap_err();
        load(r#"{"ticker": "AAPL", "quantity": 3}"#).unwrap();
    })
    .await;
    let loaded = json!({"text": r#"{"ticker": "AAPL", "quantity": 3}"#, "result": {"ticker": "AAPL", "quantity": 3}});
    let missing = message("the configuration", &["missing field `quantity` at line 1 column 18"]);
    let expected = [
        error("file.read", None, json!({"name": "", "error": message("no name", &[])})),
        ok("file.read", None, json!({"name": "a", "result": "A"})),
        error("rates.parsed", None, json!({"text": "1.5 x", "error": message("invalid float literal", &[])})),
        ok("rates.parsed", None, json!({"text": "1.5 2", "result": [1.5, 2.0]})),
        error("configuration.loaded", None, json!({"text": text, "error": missing})),
        ok("configuration.loaded", None, loaded),
    ];
    assert_eq!(rows, expected);
}
