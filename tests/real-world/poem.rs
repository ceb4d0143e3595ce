//! Handlers of poem, called by its own test client.

use crate::scene::{ID, error, ok, recorded};
use audit_runtime::audited;
use poem::error::{InternalServerError, NotFoundError, ResponseError};
use poem::http::StatusCode;
use poem::test::TestClient;
use poem::web::{Data, Json, Path};
use poem::{EndpointExt, IntoResponse, Response, Route, get, handler, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum StockError {
    #[error("no such item")]
    Unknown,
    #[error("{wanted} wanted, {left} left")]
    Short { wanted: u32, left: u32 },
}

impl ResponseError for StockError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Short { .. } => StatusCode::CONFLICT,
        }
    }
}

type StockResult<T> = std::result::Result<T, StockError>;

#[derive(Clone, Default)]
struct Stock(Arc<Mutex<BTreeMap<Uuid, u32>>>);

#[derive(Debug, Serialize, Deserialize)]
struct Delivery {
    count: u32,
}

// 17. `poem::Result<Json<T>>` and `Data<&T>`: 2.
#[handler]
#[audited(event = "item.delivered", result = |left| **left)]
async fn deliver_item(
    Path(item_id): Path<Uuid>,
    Data(stock): Data<&Stock>,
    Json(delivery): Json<Delivery>,
) -> poem::Result<Json<u32>> {
    if delivery.count == 0 {
        let error = std::io::Error::other("the scale reads nothing");
        return Err(InternalServerError(error));
    }
    let mut items = stock.0.lock().unwrap();
    let left = items.entry(item_id).or_default();
    *left += delivery.count;
    Ok(Json(*left))
}

// 18. An alias, an error that responds: 2.
#[handler]
#[audited(event = "item.taken", result = |left| left.0)]
async fn take_item(Path((item_id, count)): Path<(Uuid, u32)>, stock: Data<&Stock>) -> StockResult<Json<u32>> {
    let mut items = stock.0.0.lock().unwrap();
    let left = items.get_mut(&item_id).ok_or(StockError::Unknown)?;
    *left = left.checked_sub(count).ok_or(StockError::Short { wanted: count, left: *left })?;
    Ok(Json(*left))
}

// 19. Not asynchronous, the attribute above: 3.
#[audited(
    event = "item.shown",
    ok = |response| response.is_success(), result = |response| response.status().as_u16(),
)]
#[handler]
fn show_item(Path(item_id): Path<Uuid>, Data(stock): Data<&Stock>) -> Response {
    match stock.0.lock().unwrap().get(&item_id) {
        Some(left) => left.to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

// 20. `poem::Result<impl IntoResponse>`: 1.
#[handler]
#[audited(event = "item.removed")]
async fn remove_item(Path(item_id): Path<Uuid>, stock: Data<&Stock>) -> poem::Result<impl IntoResponse> {
    stock.0.0.lock().unwrap().remove(&item_id).ok_or(NotFoundError)?;
    Ok(StatusCode::NO_CONTENT)
}

fn message(text: &str) -> Value {
    json!({"message": text, "causes": []})
}

#[tokio::test]
async fn handlers_record_results_and_errors_that_respond() {
    let app = Route::new()
        .at("/items/:item_id", get(show_item).post(deliver_item).delete(remove_item))
        .at("/items/:item_id/take/:count", post(take_item))
        .data(Stock::default());
    let client = TestClient::new(app);
    let path = format!("/items/{ID}");
    let take = |count| client.post(format!("{path}/take/{count}"));
    let deliver = |count| client.post(&path).body_json(&Delivery { count });
    let requests = [
        (404, client.get(&path)),
        (404, take(1)),
        (500, deliver(0)),
        (200, deliver(5)),
        (200, take(2)),
        (409, take(4)),
        (200, client.get(&path)),
        (204, client.delete(&path)),
        (404, client.delete(&path)),
    ];
    let ((), rows) = recorded(async {
        for (status, request) in requests {
            request.send().await.assert_status(StatusCode::from_u16(status).unwrap());
        }
    })
    .await;
    let taken = |count: u32, key: &str, value: Value| json!({"item_id": ID, "count": count, key: value});
    let expected = [
        error("item.shown", ID, json!({"item_id": ID, "result": 404})),
        error("item.taken", ID, taken(1, "error", message("no such item"))),
        error(
            "item.delivered",
            ID,
            json!({"item_id": ID, "delivery": {"count": 0}, "error": message("the scale reads nothing")}),
        ),
        ok("item.delivered", ID, json!({"item_id": ID, "delivery": {"count": 5}, "result": 5})),
        ok("item.taken", ID, taken(2, "result", json!(3))),
        error("item.taken", ID, taken(4, "error", message("4 wanted, 3 left"))),
        ok("item.shown", ID, json!({"item_id": ID, "result": 200})),
        ok("item.removed", ID, json!({"item_id": ID, "result": 204})),
        error("item.removed", ID, json!({"item_id": ID, "error": message("not found")})),
    ];
    assert_eq!(rows, expected);
}
