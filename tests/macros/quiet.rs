//! No lint finds fault with the attribute's own idiom, nor with a function for having the
//! attribute. Bodies are one-line, as rustfmt has them, or made by macros. (As plain functions,
//! these draw no warning either.)

#![deny(warnings, unused_braces, clippy::all, clippy::pedantic, clippy::nursery)]

use crate::support::{ID, caught, caught_later};
use audit_runtime::{Outcome, audited};
use serde::Serialize;
use std::future::ready;
use uuid::Uuid;

#[derive(Debug, Clone, Serialize)]
struct Order {
    id: Uuid,
    parts: Vec<u8>,
}

impl Order {
    const fn id(&self) -> Uuid {
        self.id
    }

    const fn is_whole(&self) -> bool {
        !self.parts.is_empty()
    }
}

const fn id_of(order: &Order) -> Uuid {
    order.id
}

const fn name(_: &Order) -> &'static str {
    "order.opened"
}

const fn refused(error: &str) -> &'static str {
    if error.is_empty() { "order.unknown" } else { "order.refused" }
}

#[audited(event = |order| name(order), err = |error| refused(error), entity = "order", id = |order| id_of(order), err_id = |_| ID,
          when = |order| order.is_whole(), ok = |order| order.is_whole(), result = |order| id_of(order), error = |error| error.len(),
          fields(id = |order| id_of(order), parts = |order| order.parts.len()))]
fn idiom(n: u8) -> Result<Order, String> {
    if n == 0 { Err(n.to_string()) } else { Ok(Order { id: ID, parts: vec![n] }) }
}

#[audited(event = "order.opened", id = |order| order.id(), ok = |order| order.is_whole())]
async fn idiom_later(n: u8) -> Order {
    ready(Order { id: ID, parts: vec![n] }).await
}

// One line each: rustfmt would have it otherwise.
#[rustfmt::skip]
mod one_line {
    use super::{Order, audited, ready};
    #[audited(event = "a.b", id = none)]
    pub(super) fn number(n: u8) -> u8 { n }
    #[audited(event = "a.b", id = none)]
    pub(super) fn call(n: u8) -> String { n.to_string() }
    #[audited(event = "a.b", id = none)]
    pub(super) fn maybe(n: u8) -> Option<u8> { n.checked_sub(1) }
    #[audited(event = "a.b", id = none)]
    pub(super) fn matched(n: u8) -> u8 { match n { 0 => 1, n => n } }
    #[audited(event = "a.b", id = none)]
    pub(super) fn made(n: u8) -> Order { Order { id: super::ID, parts: vec![n] } }
    #[audited(event = "a.b", id = none)]
    pub(super) async fn later(n: u8) -> u8 { ready(n).await }
    #[audited(event = "a.b", id = none, intent)]
    pub(super) fn future(n: u8) -> impl Future<Output = u8> { async move { n } }
    #[audited(event = "a.b", id = none)]
    pub(super) fn never(n: u8) -> ! { panic!("{n}") }
    #[audited(event = "a.b", id = none, changes(list))]
    pub(super) fn pushed(list: &mut Vec<u8>) -> usize { list.len() }
    #[async_trait::async_trait]
    pub(super) trait Object { async fn call(&self, n: u8) -> u8; }
    #[async_trait::async_trait]
    impl Object for () {
        #[audited(event = "a.b", id = none)]
        async fn call(&self, n: u8) -> u8 { ready(n).await }
    }
}

macro_rules! made {
    ($name:ident($n:ident) $body:block $value:expr) => {
        mod $name {
            use super::audited;
            #[audited(event = "a.b", id = none)]
            pub(super) fn block($n: u8) -> u8 $body
            #[audited(event = "a.b", id = none)]
            pub(super) fn value($n: u8) -> u8 { $value }
            #[audited(event = "a.b", id = none)]
            pub(super) async fn later($n: u8) -> u8 { std::future::ready($value).await }
        }
    };
}
#[rustfmt::skip]
made!(made_by_a_macro(n) { n + 1 } n + 2);

#[expect(clippy::needless_pass_by_value, reason = "as it is called")]
#[audited(event = "a.b", id = none)]
fn expected(text: String) -> usize {
    text.len()
}

#[audited(event = "a.b", id = none)]
#[expect(clippy::unnecessary_wraps)]
#[cfg_attr(all(), expect(clippy::trivially_copy_pass_by_ref))]
fn expected_below(n: &u8) -> Result<u8, String> {
    Ok(*n)
}

#[test]
fn they_are_recorded_too() {
    assert_eq!(caught(|| idiom(0).is_ok()).1.data["error"], 1);
    assert_eq!(caught(|| idiom(1).is_ok()).1.event_type, "order.opened");
    assert_eq!(caught_later(idiom_later(1)).1.outcome, Outcome::Ok);
    assert_eq!(caught(|| one_line::number(1)).1.data["result"], 1);
    assert_eq!(caught(|| one_line::call(1)).1.data["result"], "1");
    assert_eq!(caught(|| one_line::maybe(1)).1.data["result"], 0);
    assert_eq!(caught(|| one_line::matched(0)).1.data["result"], 1);
    assert_eq!(caught(|| one_line::made(1)).1.data["result"]["parts"][0], 1);
    assert_eq!(caught_later(one_line::later(1)).1.data["result"], 1);
    assert_eq!(caught_later(one_line::Object::call(&(), 1)).1.data["result"], 1);
    assert_eq!(caught(|| one_line::pushed(&mut Vec::new())).1.data["result"], 0);
    let probe = audit_runtime::testing::Probe::new();
    assert_eq!(pollster::block_on(probe.scope(one_line::future(1))), 1);
    assert!(std::panic::catch_unwind(|| one_line::never(1)).is_err());
    assert_eq!(caught(|| made_by_a_macro::block(1)).1.data["result"], 2);
    assert_eq!(caught(|| made_by_a_macro::value(1)).1.data["result"], 3);
    assert_eq!(caught_later(made_by_a_macro::later(1)).1.data["result"], 3);
    assert_eq!(caught(|| expected("abc".to_owned())).1.data["result"], 3);
    assert_eq!(caught(|| expected_below(&3)).1.data["result"], 3);
}
