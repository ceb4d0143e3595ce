//! `ok`, `error`, `err_id` and `id = none`: the arguments about how a call ends.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]

use crate::support::{ID, caught, caught_later};
use audit_runtime::testing::Probe;
use audit_runtime::{AuditEvent, Outcome, audited};
use serde_json::json;
use std::ops::ControlFlow;
use uuid::Uuid;

const BASKET: Uuid = Uuid::from_u128(8);

#[derive(Debug, thiserror::Error)]
#[error("refused {basket}")]
struct Refused {
    basket: Uuid,
    #[source]
    why: std::num::ParseIntError,
}

fn refused() -> Refused {
    Refused { basket: BASKET, why: "x".parse::<u8>().unwrap_err() }
}

type Checked<T> = Result<T, Refused>;

#[audited(event = "a.b", err = "a.c", id = ID, ok = |found| found.is_some())]
fn find(n: u8) -> Option<u8> {
    n.checked_sub(1)
}

#[audited(event = "a.b", err = "a.c", id = ID, ok = |n| *n > 1)]
fn check(n: u8) -> Checked<u8> {
    if n == 0 { Err(refused()) } else { Ok(n) }
}

#[audited(event = |n| if *n > 1 { "a.b" } else { "a.d" }, entity = "a", id = |_| ID, ok = |n| *n > 1, when = |n| *n > 2)]
async fn count(n: u8) -> u8 {
    std::future::ready(n).await
}

#[audited(event = "a.b", id = ID, result = skip, ok = |flow| flow.is_continue())]
fn flow(n: u8) -> ControlFlow<u8> {
    if n == 0 { ControlFlow::Break(n) } else { ControlFlow::Continue(()) }
}

#[audited(event = "a.b", err = "a.c", id = ID, ok = |answer| answer.is_ok())]
fn nested(n: u8) -> Result<Result<u8, String>, String> {
    Ok(n.checked_sub(1).ok_or_else(|| String::from("none")))
}

#[audited(event = "a.b", id = ID, ok = |_| [true][usize::from(n_of())])]
fn panicking(n: u8) -> u8 {
    n
}

const fn n_of() -> u8 {
    7
}

/// Only the caller knows the type, and `ok` what counts.
#[audited(event = "a.b", id = ID, result = skip, ok = |_| false)]
fn generic<T: Clone + serde::Serialize>(_n: T, m: &T) -> T {
    m.clone()
}

#[test]
fn ok_says_of_a_value_whether_it_is_a_success() {
    let ended =
        |event: audit_runtime::trail::TrailEvent| (event.outcome, event.event_type, event.data["result"].value());
    let ok = |result: u8| (Outcome::Ok, "a.b".to_owned(), json!(result));
    let error = |event: &str, result: serde_json::Value| (Outcome::Error, event.to_owned(), result);
    assert_eq!(ended(caught(|| find(2)).1), ok(1));
    assert_eq!(ended(caught(|| find(0)).1), error("a.c", json!(null)));
    assert_eq!(ended(caught(|| check(2).is_ok()).1), ok(2));
    assert_eq!(ended(caught(|| check(1).is_ok()).1), error("a.c", json!(1)));
    assert_eq!(ended(caught(|| check(0).is_ok()).1), error("a.c", json!(null)));
    assert_eq!(ended(caught_later(count(3)).1), ok(3));
    // A failure is recorded regardless of `when`.
    assert_eq!(ended(caught_later(count(1)).1), error("a.d", json!(1)));
    assert_eq!(caught(|| flow(0)).1.outcome, Outcome::Error);
    assert_eq!(caught(|| flow(1)).1.outcome, Outcome::Ok);
    assert_eq!(caught(|| nested(0).is_ok()).1.outcome, Outcome::Error);
    assert_eq!(caught(|| nested(1).is_ok()).1.outcome, Outcome::Ok);
    assert_eq!(caught(|| generic(1, &2)).1.outcome, Outcome::Error);
    let event = caught(|| panicking(1)).1;
    assert_eq!(event.outcome, Outcome::Error, "it is not known to be a success");
    assert!(event.data["$error"].as_str().unwrap().starts_with("panicked: index out of bounds"));
}

#[test]
fn ok_is_not_asked_where_nothing_is_recorded() {
    assert_eq!(panicking(1), 1);
    let probe = Probe::new();
    assert_eq!(pollster::block_on(probe.scope(count(2))), 2);
    assert_eq!(probe.events(), []);
}

#[audited(event = "a.b", id = none, error = skip)]
fn skipped(error: u8) -> Checked<u8> {
    Err(refused())
}

#[audited(event = "a.b", id = none, error = %)]
fn displayed() -> Result<u8, Refused> {
    Err(refused())
}

#[audited(event = "a.b", id = none, error = ?)]
async fn debugged() -> Checked<u8> {
    std::future::ready(Err(refused())).await
}

#[audited(event = "a.b", err = "a.c", id = none, error = |error| (error.basket, error.why.to_string().len()))]
fn late() -> Checked<u8> {
    Err(refused())
}

#[test]
fn error_says_how_the_error_is_captured() {
    assert_eq!(caught(|| skipped(1).is_ok()).1.data, json!({"error": 1}));
    let message = format!("refused {BASKET}");
    assert_eq!(caught(|| displayed().is_ok()).1.data, json!({"error": {"message": message, "causes": []}}));
    let event = caught_later(async { debugged().await.is_ok() }).1;
    assert!(event.data["error"]["message"].as_str().unwrap().starts_with("Refused { basket: "), "{event:?}");
    let event = caught(|| late().is_ok()).1;
    assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Error, "a.c"));
    assert_eq!(event.data, json!({"error": [BASKET, 29]}));
}

#[audited(event = "a.b", id = |id| *id, err_id = basket, intent)]
fn early_id(basket: Uuid, fails: bool) -> Checked<Uuid> {
    if fails { Err(refused()) } else { Ok(ID) }
}

#[audited(event = "a.b", id = |id| *id, err_id = |error| error.basket)]
async fn late_id(fails: bool) -> Result<Uuid, Refused> {
    std::future::ready(if fails { Err(refused()) } else { Ok(ID) }).await
}

#[test]
fn err_id_is_the_id_where_there_is_no_success_value() {
    let ids = |fails: bool| -> Vec<_> {
        let probe = Probe::new();
        let _entered = probe.enter();
        let _ = early_id(BASKET, fails);
        probe.events().into_iter().map(|event| event.entity_id).collect()
    };
    assert_eq!(ids(true), [Some(BASKET), Some(BASKET)]);
    assert_eq!(ids(false), [Some(BASKET), Some(ID)]);
    assert_eq!(caught_later(async { late_id(true).await.is_ok() }).1.entity_id, Some(BASKET));
    assert_eq!(caught_later(async { late_id(false).await.is_ok() }).1.entity_id, Some(ID));
}

#[audited(event = "a.b", id = None)]
fn as_in_rust(id: Uuid) {}

#[audited(event = "a.b", id = none)]
fn of_a_parameter(none: Uuid) {}

#[derive(AuditEvent)]
#[audit(event = "a.b", id = none)]
struct Stated {
    n: u8,
}

#[test]
fn none_is_no_id_unless_a_parameter_is_called_so() {
    let event = caught(|| as_in_rust(ID)).1;
    assert_eq!((event.entity_id, event.data), (None, json!({"id": ID}).into()));
    assert_eq!(caught(|| of_a_parameter(ID)).1.entity_id, Some(ID));
    let probe = Probe::new();
    probe.audit().record(Stated { n: 3 }).unwrap();
    assert_eq!(probe.only("a.b").entity_id, None);
}
