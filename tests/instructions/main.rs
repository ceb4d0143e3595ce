//! So many captured calls and nothing else, for callgrind and perf: `scripts/instructions.sh`
//! counts what one costs. With `stack`, it prints the stack that a call takes, and fails if that is
//! more than is promised.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

mod stack;

use audit_runtime::{Audit, audited};
use serde::Serialize;
use std::fmt::Error;
use std::hint::black_box;
use std::time::Duration;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0x0193_5c2e_7c4a_7bbd_8f8e_2d6c_5b4a_3921);
const KINDS: [&str; 7] = ["captured", "failed", "nested", "unwanted", "keyed", "about", "unnamed"];
/// A policy that is about other events.
const POLICY: &str = "[[rule]]\nevent = 'account.*'\nonce_per = '1h'\n[[rule]]\nevent = '*.viewed'\nsample = 0.1";

#[audited(event = "order.submitted", err = "order.rejected")]
fn submit(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    black_box((order_id, ticker, side, limit_price));
    if quantity == 0 { Err(Error) } else { Ok(quantity) }
}

#[audited(event = "order.submitted", when = quantity == 0)]
fn submit_some(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    black_box((order_id, ticker, side, limit_price));
    Ok(quantity)
}

#[derive(Serialize)]
struct Leg<'a> {
    ticker: &'a str,
    quantity: u64,
    fills: [Fill; 3],
}

#[derive(Serialize)]
struct Fill {
    price: f64,
    is_partial: bool,
}

#[audited(event = "basket.submitted")]
fn submit_basket(basket_id: Uuid, legs: &[Leg<'_>]) {
    black_box((basket_id, legs));
}

#[audited(event = "order.submitted")]
fn submit_keyed(order_id: u64, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    black_box((order_id, ticker, side, limit_price));
    Ok(quantity)
}

#[audited(event = "order.submitted", id = ID, also(account = account, instrument = ticker), tenant = "acme")]
fn submit_about(account: u64, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, Error> {
    black_box((account, ticker, side, limit_price));
    Ok(quantity)
}

// Callgrind counts between the beginning and the end of these.
#[inline(never)]
fn captured_call() {
    let _ = black_box(submit(ID, black_box("AAPL"), black_box("buy"), black_box(1_200), black_box(187.25)));
}

#[inline(never)]
fn failed_call() {
    let _ = black_box(submit(ID, black_box("AAPL"), black_box("buy"), black_box(0), black_box(187.25)));
}

#[inline(never)]
fn nested_call() {
    let fill = |price| Fill { price, is_partial: true };
    let leg = |ticker| Leg { ticker, quantity: 100, fills: [fill(1.5), fill(2.25), fill(187.125)] };
    submit_basket(ID, black_box(&[leg("AAPL"), leg("MSFT"), leg("NVDA"), leg("AMZN")]));
}

#[inline(never)]
fn unwanted_call() {
    let _ = black_box(submit_some(ID, black_box("AAPL"), black_box("buy"), black_box(1_200), black_box(187.25)));
}

/// With a key in place of an id.
#[inline(never)]
fn keyed_call() {
    let number = black_box(4_711);
    let _ = black_box(submit_keyed(number, black_box("AAPL"), black_box("buy"), black_box(1_200), black_box(187.25)));
}

/// With two further entities and a tenant.
#[inline(never)]
fn about_call() {
    let account = black_box(4_711);
    let _ = black_box(submit_about(account, black_box("AAPL"), black_box("buy"), black_box(1_200), black_box(187.25)));
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let calls = arguments.next().and_then(|calls| calls.parse::<u64>().ok()).unwrap_or(1_000);
    let call = match kind.as_str() {
        "failed" => failed_call,
        "nested" => nested_call,
        "unwanted" => unwanted_call,
        "keyed" => keyed_call,
        "about" => about_call,
        "kinds" => return KINDS.iter().for_each(|kind| println!("{kind}")),
        _ => captured_call,
    };
    let journal = tempfile::tempdir().unwrap();
    // Nobody takes them: the port answers nobody.
    let file = tempfile::tempdir().unwrap();
    let mut builder = Audit::builder();
    if kind == "unnamed" {
        let policy = file.path().join("policy.toml");
        std::fs::write(&policy, POLICY).unwrap();
        builder = builder.policy(policy);
    }
    let audit = builder
        .postgres("postgres://postgres@127.0.0.1:1/x")
        .journal(journal.path())
        .journal_limit(16 << 30)
        .service("bench")
        .start()
        .unwrap();
    audit.install().unwrap();
    if kind == "stack" {
        assert!(stack::print(), "the stack of an audited function is larger than is promised");
        return;
    }
    let before = audit.stats().recorded;
    (0..calls).for_each(|_| call());
    let recorded = audit.stats().recorded - before;
    assert_eq!(recorded, if kind == "unwanted" { 0 } else { calls });
    audit.shutdown_blocking(Duration::ZERO).unwrap();
}
