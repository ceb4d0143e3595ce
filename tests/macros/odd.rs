//! `intent`, `required`, `tx` and `changes` on functions nobody would think of first.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]

use crate::support::ID;
use audit_runtime::testing::Probe;
use audit_runtime::trail::IntentState;
use audit_runtime::{Json, RecordError, audited};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use std::fmt::Debug;

#[audited(event = "a.b", id = ID, intent)]
unsafe fn dangerous(n: &u8) -> u8 {
    unsafe { *std::ptr::from_ref(n) }
}

#[audited(event = "a.b", id = ID, intent)]
extern "C" fn foreign(n: u32) -> u32 {
    n + 1
}

#[audited(event = "a.b", id = ID, required)]
fn boxed(n: u8) -> BoxFuture<'static, Result<u8, RecordError>> {
    Box::pin(async move { Ok(n) })
}

#[audited(event = "a.b", id = ID, required, changes(n), result = skip)]
fn boxed_ref<'a>(n: &'a mut u8, mut by: u8) -> BoxFuture<'a, anyhow::Result<impl Debug + use<'a>>> {
    Box::pin(async move {
        by += 1;
        *n += by;
        Ok(format!("{by}"))
    })
}

#[audited(event = "a.b", id = ID, changes(n), intent)]
async fn recursive(n: &mut u32, depth: u32) -> u32 {
    if depth == 0 {
        return *n;
    }
    *n += 1;
    Box::pin(recursive(n, depth - 1)).await
}

trait Stack<T: Serialize + Send> {
    fn items(&mut self) -> &mut Vec<T>;

    #[audited(event = "a.b", id = ID, changes(other), skip(item))]
    fn push(&mut self, item: T, other: &mut [u8; 3]) -> usize {
        self.items().push(item);
        other[1] = 7;
        self.items().len()
    }
}

impl Stack<u8> for Vec<u8> {
    fn items(&mut self) -> &mut Self {
        self
    }
}

#[derive(Serialize)]
struct Pair<'a, T> {
    left: &'a mut T,
    right: Option<Box<Self>>,
}

impl<T: Serialize + Clone> Pair<'_, T> {
    #[audited(event = "a.b", id = ID, changes(self.left, self.right))]
    fn swap(&mut self, with: &mut T) {
        std::mem::swap(self.left, with);
        self.right = None;
    }
}

struct Service<C> {
    connection: C,
}

impl<C: AsMut<PgConnection> + Send> Service<C> {
    #[audited(event = "a.b", id = ID, tx = self.connection.as_mut(), required)]
    async fn save(&mut self, n: u8) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
        let Self { connection } = self;
        let _ = connection.as_mut();
        Ok(n)
    }
}

macro_rules! made {
    ($name:ident, $parameter:ident: $ty:ty) => {
        #[audited(event = "a.b", id = ID, changes($parameter), intent)]
        fn $name($parameter: $ty) -> usize {
            $parameter.push(1);
            $parameter.len()
        }
    };
}
made!(made, list: &mut Vec<u8>);

#[tokio::test]
async fn they_are_recorded_as_any_other() {
    let probe = Probe::new();
    probe
        .scope(async {
            assert_eq!(unsafe { dangerous(&3) }, 3);
            assert_eq!(foreign(3), 4);
            assert_eq!(boxed(3).await.unwrap(), 3);
            let mut n = 1;
            drop(boxed_ref(&mut n, 2).await.unwrap());
            let mut m = 0;
            assert_eq!(recursive(&mut m, 3).await, 3);
            assert_eq!(Stack::push(&mut vec![1], 2, &mut [0; 3]), 2);
            let (mut a, mut b) = (1, 2);
            Pair { left: &mut a, right: None }.swap(&mut b);
            assert_eq!(made(&mut vec![]), 1);
        })
        .await;
    let ended: Vec<Json> =
        probe.events().into_iter().filter(|event| event.intent.is_none()).map(|event| event.data).collect();
    assert!(probe.events().iter().all(|event| event.intent.is_none_or(|state| state == IntentState::Completed)));
    let change = |from: u32, to: u32| json!({"from": from, "to": to});
    assert_eq!(
        ended,
        [
            json!({"n": 3, "result": 3}),
            json!({"n": 3, "result": 4}),
            json!({"n": 3, "result": 3}),
            json!({"by": 2, "changes": {"n": change(1, 4)}}),
            json!({"depth": 0, "result": 3, "changes": {"n": {}}}),
            json!({"depth": 1, "result": 3, "changes": {"n": change(2, 3)}}),
            json!({"depth": 2, "result": 3, "changes": {"n": change(1, 3)}}),
            json!({"depth": 3, "result": 3, "changes": {"n": change(0, 3)}}),
            json!({"result": 2, "changes": {"other": {"[1]": change(0, 7)}}}),
            json!({"with": 2, "changes": {"left": change(1, 2), "right": {}}}),
            json!({"result": 1, "changes": {"list": {"[0]": {"to": 1}}}}),
        ]
    );
    // It is enough that this compiles: the rest is in the suite that has a database.
    let _ = Service::<PoolConnection<Postgres>>::save;
}
