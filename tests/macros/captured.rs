//! Everything is captured: names of every case and script, patterns under `#[async_trait]`, what
//! macros are given, parts of what changes.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]

use crate::support::{ID, caught, caught_later};
use async_trait::async_trait;
use audit_runtime::{Outcome, audited};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

fn data<R>(call: impl FnOnce() -> R) -> Value {
    caught(call).1.data.value()
}

#[allow(non_snake_case, clippy::many_single_char_names, reason = "as traders write it")]
#[audited(event = "option.priced", id = none)]
fn price(S: f64, mut K: f64, T: f64, r: f64, sigma: f64) -> f64 {
    K += 1.0;
    S - K + T + r + sigma
}

#[allow(non_snake_case, reason = "as traders write it")]
#[audited(event = "option.hedged", id = none)]
fn greeks(Δ: f64, Γ: f64, größe: f64, 数量: u8) -> u8 {
    数量
}

#[allow(non_snake_case, reason = "as geometers write it")]
struct Point {
    x: u8,
    Y: u8,
}

#[allow(non_snake_case, reason = "as geometers write it")]
#[audited(event = "point.drawn", id = none, only(S, K, Y, x))]
fn patterns((S, mut K): (u8, u8), Point { Y, x }: Point, Unit: Unit) -> u8 {
    K += S;
    K + Y + x
}

#[derive(Clone, Copy)]
struct Unit;

#[audited(event = "unit.given", id = none)]
fn unit(Unit: Unit, n: u8) -> u8 {
    n
}

#[test]
fn names_of_every_case_and_script() {
    assert_eq!(
        data(|| price(1.0, 2.0, 3.0, 4.0, 5.0)),
        json!({"S": 1.0, "K": 2.0, "T": 3.0, "r": 4.0, "sigma": 5.0, "result": 10.0})
    );
    assert_eq!(data(|| greeks(1.0, 2.0, 3.0, 4)), json!({"Δ": 1.0, "Γ": 2.0, "größe": 3.0, "数量": 4, "result": 4}));
    assert_eq!(
        data(|| patterns((1, 2), Point { x: 3, Y: 4 }, Unit)),
        json!({"S": 1, "K": 2, "Y": 4, "x": 3, "result": 10})
    );
    assert_eq!(data(|| unit(Unit, 1)), json!({"n": 1, "result": 1}));
}

struct Request<T>(T);

#[async_trait]
trait Desk: Sync {
    async fn place(&self, order_id: Uuid, request: Request<u8>, pair: (u8, u8), n: u8) -> Result<u8, String>;
    async fn parted(&self, point: Point, pair: (&mut u8, u8)) -> u8;
    async fn by_reference(&self, request: Request<String>, k: u8) -> usize;
}

#[async_trait]
impl Desk for () {
    #[audited(event = "order.placed", fields(sum = x + y))]
    async fn place(&self, order_id: Uuid, Request(n): Request<u8>, (x, mut y): (u8, u8), _: u8) -> Result<u8, String> {
        y += x;
        std::future::ready(()).await;
        n.checked_sub(y).ok_or_else(|| String::from("too few"))
    }

    #[audited(event = "order.parted", id = none, skip(x), intent)]
    async fn parted(&self, Point { x, Y: y }: Point, (n, _): (&mut u8, u8)) -> u8 {
        *n += 1;
        std::future::ready(x + y + *n).await
    }

    #[audited(event = "order.kept", id = none)]
    async fn by_reference(&self, Request(ref n): Request<String>, k: u8) -> usize {
        std::future::ready(n.len()).await
    }
}

#[test]
fn patterns_under_async_trait() {
    let (returned, event) = caught_later(().place(ID, Request(9), (2, 3), 0));
    assert_eq!((returned, event.entity_id), (Ok(4), Some(ID)));
    assert_eq!(event.data, json!({"order_id": ID, "n": 9, "x": 2, "y": 3, "sum": 5, "result": 4}));
    assert_eq!(caught_later(().place(ID, Request(1), (2, 3), 0)).1.outcome, Outcome::Error);
    let probe = audit_runtime::testing::Probe::new();
    let mut n = 1;
    assert_eq!(pollster::block_on(probe.scope(().parted(Point { x: 1, Y: 2 }, (&mut n, 0)))), 5);
    assert_eq!(probe.events()[1].data, json!({"y": 2, "n": 1, "result": 5}));
    assert_eq!(caught_later(().by_reference(Request("abc".to_owned()), 1)).1.data, json!({"k": 1, "result": 3}));
}

const REFUSED: &str = "order.refused";

macro_rules! given {
    ($name:ident, $n:ident, $event:literal, $err:path, $id:expr, $of:expr, $ok:expr, $body:block) => {
        #[audited(event = $event, err = $err, id = $id, result = $of, ok = $ok, entity = "order", fields(late = $of))]
        fn $name($n: u8) -> Result<u8, String> $body
    };
}
given!(fragments, n, "order.made", REFUSED, |_| ID, |n| *n * 2, (|n| *n > 1), {
    n.checked_sub(1).ok_or_else(String::new)
});

macro_rules! events {
    ($($name:ident($list:ident) => $event:expr, $change:expr;)+) => {$(
        #[audited(event = $event, id = ID, changes($change))]
        fn $name($list: &mut Vec<u8>) {
            $list.push(1);
        }
    )+};
}
events! { pushed(list) => "list.pushed", list; }

#[test]
fn arguments_of_macros_are_captured() {
    let (returned, event) = caught(|| fragments(3));
    assert_eq!((returned, event.event_type.as_str(), event.entity_id), (Ok(2), "order.made", Some(ID)));
    assert_eq!(event.data, json!({"n": 3, "late": 4, "result": 4}));
    assert_eq!(caught(|| fragments(2)).1.outcome, Outcome::Error);
    assert_eq!(caught(|| fragments(0)).1.event_type, REFUSED);
    assert_eq!(data(|| pushed(&mut Vec::new())), json!({"changes": {"list": {"[0]": {"to": 1}}}}));
}

#[derive(Debug, Clone, Serialize)]
struct Balance(u32);

/// Not `Serialize`, and need not be.
struct User {
    name: String,
    balance: Balance,
}

impl Balance {
    #[audited(event = "balance.changed", id = none, changes(self.0))]
    fn add(&mut self, more: u32) {
        self.0 += more;
    }

    #[audited(event = "balance.changed", id = none, changes(total = self.0))]
    async fn add_later(&mut self, more: u32) {
        std::future::ready(()).await;
        self.0 += more;
    }
}

#[audited(event = "user.renamed", id = none, changes(user.name, balance = user.balance.0, before = other.name))]
fn rename(user: &mut User, other: &mut User, name: &str) {
    name.clone_into(&mut user.name);
    user.balance.add(1);
    name.clone_into(&mut other.name);
}

#[test]
fn parts_of_what_changes() {
    let change = |from: Value, to: Value| json!({"from": from, "to": to});
    assert_eq!(data(|| Balance(1).add(2)), json!({"more": 2, "changes": {"0": change(json!(1), json!(3))}}));
    assert_eq!(
        caught_later(Balance(1).add_later(2)).1.data,
        json!({"more": 2, "changes": {"total": change(json!(1), json!(3))}})
    );
    let user = || User { name: "ann".to_owned(), balance: Balance(1) };
    let probe = audit_runtime::testing::Probe::new();
    let entered = probe.enter();
    rename(&mut user(), &mut user(), "bob");
    drop(entered);
    let name = change(json!("ann"), json!("bob"));
    assert_eq!(
        probe.only("user.renamed").data,
        json!({"name": "bob", "changes": {"name": name, "balance": change(json!(1), json!(2)), "before": name}})
    );
}

#[test]
#[cfg(debug_assertions)]
fn a_malformed_late_event_type_is_noticed() {
    #[audited(event = |()| "BAD EVENT", entity = "order", id = none)]
    fn call() {}
    let event = caught(call).1;
    assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Ok, "order.ok"));
    assert!(event.data["$error"].as_str().unwrap().contains("invalid event type \"BAD EVENT\""), "{event:?}");
}
