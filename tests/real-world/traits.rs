//! Methods of traits: conversions, futures, actors, use cases and what decorates them.

use crate::scene::{ID, error, ok, recorded};
use audit_runtime::audited;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum DeskError {
    #[error("{0:?} is no ISIN")]
    NoIsin(String),
    #[error("the account is not empty")]
    NotEmpty,
    #[error("too deep")]
    TooDeep,
}

type DeskResult<T> = Result<T, DeskError>;

#[derive(Debug, Serialize)]
struct Isin(String);

impl FromStr for Isin {
    type Err = DeskError;

    // 67. `FromStr`: 2.
    #[audited(event = "isin.parsed", id = none)]
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 12 { Ok(Self(text.to_owned())) } else { Err(DeskError::NoIsin(text.to_owned())) }
    }
}

impl TryFrom<(&str, u32)> for Isin {
    type Error = DeskError;

    // 68. `TryFrom`, of a pattern: 2.
    #[audited(event = "isin.made", id = none)]
    fn try_from((country, number): (&str, u32)) -> Result<Self, Self::Error> {
        format!("{country}{number:010}").parse()
    }
}

// 69. A recursion by boxed futures: 2.
#[audited(event = "folder.walked", id = none)]
fn walk(depth: u8, most: u8) -> BoxFuture<'static, DeskResult<u8>> {
    Box::pin(async move {
        match depth {
            0 => Ok(1),
            _ if most == 0 => Err(DeskError::TooDeep),
            _ => Ok(walk(depth - 1, most - 1).await? + 1),
        }
    })
}

/// Something a user can do.
trait UseCase {
    type Input;
    type Output;
    type Error;

    fn execute(&self, input: Self::Input) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

struct CloseAccount {
    cents: u32,
}

impl UseCase for CloseAccount {
    type Input = Uuid;
    type Output = &'static str;
    type Error = DeskError;

    // 70. A use case: 2.
    #[audited(event = "account.closed", id = input)]
    async fn execute(&self, input: Self::Input) -> Result<Self::Output, Self::Error> {
        if self.cents == 0 { Ok("closed") } else { Err(DeskError::NotEmpty) }
    }
}

/// Records whatever it wraps.
struct Recorded<U>(&'static str, U);

impl<U> UseCase for Recorded<U>
where
    U: UseCase<Input: Serialize + Send, Output: Serialize + Send, Error: std::error::Error + Send> + Sync,
{
    type Input = U::Input;
    type Output = U::Output;
    type Error = U::Error;

    // 71. A decorator of any use case: 3.
    #[audited(event = "case.executed", id = none, fields(case = self.0))]
    async fn execute(&self, input: U::Input) -> Result<U::Output, U::Error> {
        self.1.execute(input).await
    }
}

/// An actor's trait, as actix has it.
trait Handler<M> {
    type Result;

    fn handle(&mut self, message: M) -> Self::Result;
}

#[derive(Debug, Serialize)]
struct Withdraw {
    cents: u32,
}

struct Till {
    cents: u32,
}

impl Handler<Withdraw> for Till {
    type Result = DeskResult<u32>;

    // 72. `Self::Result`: 3.
    #[audited(event = "cash.withdrawn", id = none, changes(self.cents))]
    fn handle(&mut self, message: Withdraw) -> Self::Result {
        self.cents = self.cents.checked_sub(message.cents).ok_or(DeskError::NotEmpty)?;
        Ok(self.cents)
    }
}

/// A future that is polled once more before it ends.
struct Countdown {
    left: u8,
    fails: bool,
}

impl Future for Countdown {
    type Output = DeskResult<()>;

    // 73. `Future::poll`: 3.
    #[audited(event = "countdown.polled", id = none, fields(left = self.left))]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left > 0 {
            self.left -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(if self.fails { Err(DeskError::TooDeep) } else { Ok(()) })
    }
}

struct Lease(Uuid);

impl Drop for Lease {
    // 74. `Drop`: 2.
    #[audited(event = "lease.returned", id = self.0)]
    fn drop(&mut self) {}
}

fn message(text: &str) -> Value {
    json!({"message": text, "causes": []})
}

#[tokio::test]
async fn conversions_record_what_they_refuse() {
    let ((), rows) = recorded(async {
        "DE0005140008".parse::<Isin>().unwrap();
        "DE".parse::<Isin>().unwrap_err();
        Isin::try_from(("GER", 7)).unwrap_err();
    })
    .await;
    let refused = || message("\"GER0000000007\" is no ISIN");
    let expected = [
        ok("isin.parsed", None, json!({"text": "DE0005140008", "result": "DE0005140008"})),
        error("isin.parsed", None, json!({"text": "DE", "error": message("\"DE\" is no ISIN")})),
        error("isin.made", None, json!({"country": "GER", "number": 7, "error": refused()})),
        error("isin.parsed", None, json!({"text": "GER0000000007", "error": refused()})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn futures_record_where_a_chain_of_calls_breaks() {
    let ((), rows) = recorded(async {
        assert_eq!(walk(1, 1).await.unwrap(), 2);
        walk(2, 1).await.unwrap_err();
        Countdown { left: 1, fails: false }.await.unwrap();
        Countdown { left: 0, fails: true }.await.unwrap_err();
        drop(Lease(ID));
    })
    .await;
    let walked = |depth: u8, most: u8, result: u8| {
        ok("folder.walked", None, json!({"depth": depth, "most": most, "result": result}))
    };
    let stopped = |depth: u8, most: u8| {
        error("folder.walked", None, json!({"depth": depth, "most": most, "error": message("too deep")}))
    };
    let expected = [
        walked(1, 1, 2),
        walked(0, 0, 1),
        stopped(2, 1),
        stopped(1, 0),
        ok("countdown.polled", None, json!({"left": 1})),
        ok("countdown.polled", None, json!({"left": 0})),
        error("countdown.polled", None, json!({"left": 0, "error": message("too deep")})),
        ok("lease.returned", ID, json!({})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn associated_types_are_seen_through() {
    let ((), rows) = recorded(async {
        Recorded("close", CloseAccount { cents: 0 }).execute(ID).await.unwrap();
        Recorded("close", CloseAccount { cents: 1 }).execute(ID).await.unwrap_err();
        let mut till = Till { cents: 5 };
        till.handle(Withdraw { cents: 3 }).unwrap();
        till.handle(Withdraw { cents: 3 }).unwrap_err();
    })
    .await;
    let case = |key: &str, value: Value| json!({"case": "close", "input": ID, key: value});
    let changed = json!({"cents": {"from": 5, "to": 2}});
    let not_empty = || message("the account is not empty");
    let expected = [
        ok("case.executed", None, case("result", json!("closed"))),
        ok("account.closed", ID, json!({"input": ID, "result": "closed"})),
        error("case.executed", None, case("error", not_empty())),
        error("account.closed", ID, json!({"input": ID, "error": not_empty()})),
        ok("cash.withdrawn", None, json!({"message": {"cents": 3}, "result": 2, "changes": changed})),
        error("cash.withdrawn", None, json!({"message": {"cents": 3}, "error": not_empty(), "changes": {"cents": {}}})),
    ];
    assert_eq!(rows, expected);
}
