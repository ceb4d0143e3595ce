//! Wrappers that a capture sees through, and parts of the program that are no data.

#![deny(warnings, clippy::all, clippy::pedantic)]
#![allow(clippy::needless_pass_by_value, reason = "handlers take what their frameworks give them")]

use crate::support::{ID, caught, caught_later};
use audit_runtime::{Captured, audited};
use axum::extract::{Extension, Form, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::{Json, extract};
use serde::Serialize;
use serde_json::json;
use std::ops::Deref;
use uuid::Uuid;

/// A wrapper of a user's own, which serialises as something else.
#[derive(Serialize)]
struct Valid<T> {
    #[serde(skip)]
    value: T,
    rules: &'static str,
}

impl<T: Serialize> Captured for Valid<T> {
    type Value = T;

    fn captured(&self) -> &T {
        &self.value
    }
}

fn valid<T>(value: T) -> Valid<T> {
    Valid { value, rules: "all" }
}

#[audited(event = "order.placed", id = ID)]
fn place(quantity: Valid<u32>, limit: &Valid<Vec<u8>>, noted: &mut Valid<String>) -> Valid<u32> {
    noted.value.push_str(quantity.rules);
    valid(quantity.value + u32::from(limit.value[0]))
}

#[audited(event = "order.placed", id = ID)]
async fn try_to_place(quantity: Valid<u32>) -> Result<Valid<u32>, String> {
    if quantity.value == 0 { Err("none".to_owned()) } else { Ok(quantity) }
}

#[test]
fn the_content_of_a_users_wrapper_is_captured() {
    let (placed, event) = caught(|| place(valid(3), &valid(vec![4]), &mut valid("by ".to_owned())));
    assert_eq!(placed.value, 7);
    assert_eq!(event.data, json!({"quantity": 3, "limit": [4], "noted": "by ", "result": 7}));
    let (_, event) = caught_later(try_to_place(valid(3)));
    assert_eq!(event.data, json!({"quantity": 3, "result": 3}));
    let (_, event) = caught_later(try_to_place(valid(0)));
    assert_eq!(event.data["error"]["message"], "none");
}

struct Pool<T>(T);
struct Client;
struct Shared(u32);

#[derive(Serialize)]
struct Order {
    quantity: u32,
}

#[allow(clippy::too_many_arguments, reason = "every kind of extractor is one")]
#[audited(event = "order.moved")]
async fn move_order(
    State(shared): State<Shared>,
    pool: &Pool<u8>,
    client: Client,
    Path(order_id): Path<Uuid>,
    headers: HeaderMap,
    request: extract::Request,
    Query(page): Query<u8>,
    extension: Extension<Order>,
    order: Json<Order>,
) -> Json<Order> {
    let Client = client;
    let more = usize::from(page) + headers.len() + request.headers().len();
    let more = u32::from(pool.0) + u32::try_from(more).unwrap() + extension.quantity + u32::from(order_id.is_nil());
    Json(Order { quantity: order.quantity + shared.0 + more })
}

#[test]
fn extractors_are_seen_through_and_parts_of_the_program_left_out() {
    let (moved, event) = caught_later(move_order(
        State(Shared(100)),
        &Pool(10),
        Client,
        Path(ID),
        HeaderMap::new(),
        extract::Request::default(),
        Query(1),
        Extension(Order { quantity: 5 }),
        Json(Order { quantity: 3 }),
    ));
    assert_eq!((moved.quantity, event.entity_id), (119, Some(ID)));
    assert_eq!(
        event.data,
        json!({"order_id": ID, "page": 1, "extension": {"quantity": 5}, "order": {"quantity": 3},
               "result": {"quantity": 119}})
    );
}

#[audited(event = "session.opened", id = *id)]
fn open(id: Path<Uuid>, form: Form<Order>) -> Redirect {
    Redirect::to(if form.quantity > u32::from(id.is_nil()) { "/orders" } else { "/" })
}

#[audited(event = "order.shown")]
fn show(order_id: Path<Uuid>) -> usize {
    order_id.to_string().len()
}

#[test]
fn the_content_of_a_path_is_the_id() {
    let (_, event) = caught(|| open(Path(ID), Form(Order { quantity: 3 })));
    assert_eq!(
        (event.entity_id, event.data),
        (Some(ID), json!({"id": ID, "form": {"quantity": 3}, "result": 303}).into())
    );
    let (_, event) = caught(|| show(Path(ID)));
    assert_eq!(event.entity_id, Some(ID));
}

#[derive(Clone, Serialize)]
struct Keyed {
    token: u32,
    api_key: &'static str,
}

/// The content of another framework's extractor, and of a user's wrapper, as of axum's.
#[audited(
    event = "order.placed", id = ID, fields(of = body.token), result = skip,
    plain(body.token, valid.token, json.token, request.token),
)]
fn place_by_token(body: Json<Keyed>, valid: &Valid<Keyed>, json: domain::Json<Keyed>, request: tonic::Request<Keyed>) {}

#[test]
fn a_key_inside_of_a_wrapper_can_be_plain() {
    let keyed = || Keyed { token: 7, api_key: "k-17" };
    let ((), event) = caught(|| {
        place_by_token(Json(keyed()), &valid(keyed()), domain::Json(keyed()), tonic::Request::new(keyed()));
    });
    let shown = || json!({"token": 7, "api_key": "[redacted]"});
    assert_eq!(event.data, json!({"body": shown(), "valid": shown(), "json": shown(), "request": shown(), "of": 7}));
}

/// Names of parts of programs, and data.
mod domain {
    use super::{Deref, Serialize};

    #[derive(Serialize)]
    pub struct Transaction<'a> {
        pub cents: &'a u32,
    }

    #[derive(Serialize)]
    pub struct Client {
        pub name: &'static str,
    }

    #[derive(Serialize)]
    pub struct State<T> {
        pub of: T,
    }

    /// Another framework's extractor.
    pub struct Json<T>(pub T);

    impl<T> Deref for Json<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
}

#[audited(event = "account.booked", id = ID)]
fn book(
    transaction: &domain::Transaction<'_>,
    client: domain::Client,
    state: domain::State<u8>,
    json: domain::Json<Order>,
) -> u32 {
    *transaction.cents + json.quantity + u32::from(state.of) + u32::from(client.name.is_empty())
}

#[test]
fn data_with_the_name_of_a_part_of_the_program_are_captured() {
    let client = domain::Client { name: "ann" };
    let (_, event) = caught(|| {
        book(&domain::Transaction { cents: &7 }, client, domain::State { of: 2 }, domain::Json(Order { quantity: 3 }))
    });
    assert_eq!(
        event.data,
        json!({"transaction": {"cents": 7}, "client": {"name": "ann"}, "state": {"of": 2}, "json": {"quantity": 3},
               "result": 12})
    );
}

#[audited(event = "rpc.called", id = ID)]
fn call(request: tonic::Request<Order>, empty: tonic::Request<()>) -> tonic::Response<Order> {
    let () = empty.into_inner();
    tonic::Response::new(request.into_inner())
}

#[audited(event = "work.done", id = ID, infallible, result = skip)]
fn work<F, T>(times: u32, mut step: F, last: impl FnOnce() -> T) -> T
where
    F: FnMut(u32),
{
    (0..times).for_each(&mut step);
    last()
}

#[test]
fn messages_are_seen_through_and_closures_left_out() {
    let (_, event) = caught(|| call(tonic::Request::new(Order { quantity: 3 }), tonic::Request::new(())));
    assert_eq!(event.data, json!({"request": {"quantity": 3}, "result": {"quantity": 3}}));
    let mut sum = 0;
    let (_, event) = caught(|| work(3, |step| sum += step, || 7));
    assert_eq!((sum, event.data), (3, json!({"times": 3}).into()));
}
