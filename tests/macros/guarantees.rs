//! `intent`, `required` and `changes`, in every shape of function. The strictest lints stay silent
//! here too.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery, unused_variables, dead_code)]

use crate::support::{ID, caught, caught_later};
use async_trait::async_trait;
use audit_runtime::testing::Probe;
use audit_runtime::trail::{IntentState, TrailEvent};
use audit_runtime::{Audit, Context, Outcome, RecordError, audited};
use serde::Serialize;
use serde_json::{Value, json};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Waker};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("not recorded")]
    Unrecorded(#[from] RecordError),
    #[error("refused")]
    Refused,
}

#[derive(Debug, Default, Clone, Serialize)]
struct Lot {
    shares: u32,
    price: f64,
}

#[derive(Debug, Default, Clone, Serialize)]
struct Position {
    quantity: u32,
    note: Option<String>,
    lots: Vec<Lot>,
    api_key: String,
}

// -- intent ---------------------------------------------------------------------------------------

#[audited(event = "order.checked", id = ID)]
fn check(number: u8) {}

#[audited(event = "order.sent", err = "order.refused", id = ID, intent)]
fn send(number: u8) -> Result<u8, Failure> {
    check(number);
    if number > 9 { Err(Failure::Refused) } else { Ok(number) }
}

#[audited(event = |n| if *n > 3 { "order.large" } else { "order.small" }, err = "order.refused", entity = "order", id = |n| Uuid::from_u128(u128::from(*n)), intent)]
async fn send_later(number: u8) -> Result<u8, Failure> {
    check(number);
    tokio::task::yield_now().await;
    Ok(number)
}

#[audited(event = "order.sent", id = ID, intent)]
fn send_by_future(number: u8) -> impl Future<Output = u8> {
    check(number);
    async move { number }
}

#[audited(event = "order.sent", id = ID, intent)]
fn send_boxed(number: u8) -> Pin<Box<dyn Future<Output = u8>>> {
    Box::pin(async move {
        check(number);
        number
    })
}

/// An intent, something below it, and its completion, with all the links between them.
fn intent_check_and_end(events: &[TrailEvent], event_type: &str, outcome: Outcome) {
    let [intent, check, end] = events else { panic!("{events:#?}") };
    assert_eq!((intent.outcome, end.outcome), (Outcome::Started, outcome));
    assert_eq!(end.event_type, event_type);
    assert_eq!(intent.data, json!({"number": end.data["number"]}), "what is known before");
    assert_eq!(end.causation_id, Some(intent.id));
    assert_eq!(check.causation_id, Some(end.id), "the call's own event is the cause of what is below");
    assert_eq!((intent.causation_id, intent.duration_us), (None, None));
    assert!(end.duration_us.is_some());
    assert_eq!(intent.created_at, end.created_at);
    assert!(intent.id < end.id, "in a trail the intent comes first");
    assert!(events.iter().all(|event| event.correlation_id == intent.correlation_id && event.correlation_id.is_some()));
    assert_eq!((intent.intent, end.intent), (Some(IntentState::Completed), None));
}

#[tokio::test]
async fn an_intent_precedes_the_body_and_its_completion_names_it() {
    let probe = Probe::new();
    let entered = probe.enter();
    send(3).unwrap();
    intent_check_and_end(&probe.events(), "order.sent", Outcome::Ok);
    send(10).unwrap_err();
    intent_check_and_end(&probe.events()[3..], "order.refused", Outcome::Error);
    drop(entered);
    probe.scope(send_later(4)).await.unwrap();
    let later = &probe.events()[6..];
    intent_check_and_end(later, "order.large", Outcome::Ok);
    assert_eq!(later[0].event_type, "order.started", "a late type is not known before");
    assert_eq!((later[0].entity_id, later[2].entity_id), (None, Some(Uuid::from_u128(4))));
    probe.scope(async { send_by_future(1).await }).await;
    intent_check_and_end(&probe.events()[9..], "order.sent", Outcome::Ok);
    probe.scope(async { send_boxed(1).await }).await;
    intent_check_and_end(&probe.events()[12..], "order.sent", Outcome::Ok);
}

#[test]
fn a_call_that_never_ran_has_no_intent_and_one_cut_short_has_an_end() {
    let probe = Probe::new();
    let entered = probe.enter();
    drop(send_boxed(1));
    drop(send_later(1));
    assert!(probe.events().is_empty());
    let mut polled = Box::pin(send_later(1));
    assert!(polled.as_mut().poll(&mut task::Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(probe.events()[0].intent, Some(IntentState::InFlight));
    drop(polled);
    drop(entered);
    intent_check_and_end(&probe.events(), "order.refused", Outcome::Cancelled);
}

#[test]
fn a_condition_that_does_not_hold_records_neither() {
    #[audited(event = "order.sent", id = ID, intent, when = number > 3)]
    fn send(number: u8) {}
    #[audited(event = "order.sent", id = ID, required, when = number > 3)]
    fn must(number: u8) -> Result<(), Failure> {
        Ok(())
    }
    let probe = Probe::new();
    let entered = probe.enter();
    send(3);
    must(3).unwrap();
    assert!(probe.events().is_empty());
    send(4);
    must(4).unwrap();
    drop(entered);
    assert_eq!(probe.events().len(), 4);
}

// -- required -------------------------------------------------------------------------------------

#[audited(event = "mode.changed", id = ID, required)]
fn set_mode(mode: &mut u8, to: u8) -> Result<u8, Failure> {
    *mode = to;
    Ok(std::mem::take(mode))
}

#[audited(event = "mode.changed", id = ID, required)]
async fn set_mode_later(ran: &AtomicBool) -> anyhow::Result<impl Iterator<Item = u8>> {
    ran.store(true, Ordering::Relaxed);
    Ok(std::iter::once(1))
}

#[audited(event = "mode.changed", id = ID, required, skip_all)]
fn set_mode_by_future<'a>(ran: &'a AtomicBool) -> impl Future<Output = Result<(), Box<dyn std::error::Error>>> + 'a {
    async move {
        ran.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait(?Send)]
trait Modes {
    async fn set(&mut self, to: u8) -> Result<u8, Failure>;
}

#[derive(Default, Serialize)]
struct Desk {
    mode: u8,
    book: Book,
}

#[derive(Default, Serialize)]
struct Book {
    position: Position,
}

#[async_trait(?Send)]
impl Modes for Desk {
    #[audited(event = "mode.changed", id = ID, required, changes(self.mode))]
    async fn set(&mut self, to: u8) -> Result<u8, Failure> {
        tokio::task::yield_now().await;
        let before = std::mem::replace(&mut self.mode, to);
        if to == 0 {
            return Err(Failure::Refused);
        }
        Ok(before)
    }
}

fn outcomes(probe: &Probe) -> Vec<Outcome> {
    probe.events().iter().map(|event| event.outcome).collect()
}

#[tokio::test]
async fn a_required_call_that_is_recorded_runs() {
    let probe = Probe::new();
    let entered = probe.enter();
    assert_eq!(set_mode(&mut 1, 2).unwrap(), 2);
    drop(entered);
    let ran = AtomicBool::new(false);
    // Such a function is called where it is called, not where its future is awaited.
    probe.scope(async { set_mode_by_future(&ran).await }).await.unwrap();
    assert!(ran.load(Ordering::Relaxed));
    let mut desk = Desk::default();
    assert_eq!(probe.scope(desk.set(3)).await.unwrap(), 0);
    assert_eq!(desk.mode, 3);
    assert_eq!(outcomes(&probe), [Outcome::Started, Outcome::Ok].repeat(3));
}

fn never_stored() -> Audit {
    Audit::builder().postgres("postgres://127.0.0.1:1/x").memory().start().unwrap()
}

#[tokio::test]
async fn a_required_call_that_cannot_be_recorded_does_not_run() {
    let closed = never_stored();
    closed.shutdown(std::time::Duration::ZERO).await.unwrap();
    let ran = AtomicBool::new(false);
    // This program installs nothing.
    for (audit, expected) in [(None, "no audit trail is installed"), (Some(closed), "the audit trail was shut down")] {
        let entered = audit.as_ref().map(Audit::enter);
        let mut mode = 1;
        let error = set_mode(&mut mode, 2).unwrap_err();
        assert_eq!(mode, 1, "the body has not run");
        let Failure::Unrecorded(error) = error else { panic!("{error}") };
        assert!(error.to_string().contains(expected), "{error}");
        drop(entered);
        let mut desk = Desk { mode: 1, ..Desk::default() };
        let scoped = async {
            let error = set_mode_later(&ran).await.map(Iterator::count).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            let error = set_mode_by_future(&ran).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            desk.set(2).await.unwrap_err();
        };
        match &audit {
            Some(audit) => audit.scope(scoped).await,
            None => scoped.await,
        }
        assert!(!ran.load(Ordering::Relaxed) && desk.mode == 1);
    }
}

#[test]
fn a_required_call_in_memory_waits_for_postgresql_and_may_be_given_up() {
    let audit = never_stored();
    let ran = AtomicBool::new(false);
    let mut waiting = pin!(audit.scope(set_mode_later(&ran)));
    let mut context = task::Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    audit.shutdown_blocking(std::time::Duration::ZERO).unwrap();
    let error = pollster::block_on(waiting).map(Iterator::count).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&RecordError::Closed));
    assert!(!ran.load(Ordering::Relaxed));
}

// -- changes --------------------------------------------------------------------------------------

#[audited(event = "position.changed", id = ID, changes(position))]
fn apply(position: &mut Position, quantity: u32) -> Result<u32, Failure> {
    position.quantity += quantity;
    position.lots.push(Lot { shares: quantity, price: 2.5 });
    if let [first, _, ..] = &mut *position.lots {
        first.shares = 0;
        position.note = Some("two lots".into());
    }
    if quantity == 0 { Err(Failure::Refused) } else { Ok(position.quantity) }
}

#[test]
fn only_what_changed_is_told_before_and_after() {
    let mut position = Position::default();
    let (result, event) = caught(|| apply(&mut position, 3));
    assert_eq!(result.unwrap(), 3);
    let lot = json!({"shares": 3, "price": 2.5});
    let first = json!({"position": {"quantity": {"from": 0, "to": 3}, "lots[0]": {"to": lot}}});
    assert_eq!(event.data, json!({"quantity": 3, "changes": first, "result": 3}));
    let (_, event) = caught(|| apply(&mut position, 1));
    let (from, to) = (Value::Null, "two lots");
    assert_eq!(
        event.data["changes"]["position"],
        json!({"quantity": {"from": 3, "to": 4}, "note": {"from": from, "to": to}, "lots[0].shares": {"from": 3, "to": 0},
               "lots[1]": {"to": {"shares": 1, "price": 2.5}}})
    );
    let (result, event) = caught(|| apply(&mut position, 0));
    result.unwrap_err();
    assert_eq!(
        event.data["changes"]["position"],
        json!({"lots[2]": {"to": {"shares": 0, "price": 2.5}}}),
        "also of an error"
    );
}

#[test]
fn nothing_that_changed_is_told_as_nothing_and_a_panic_tells_no_change() {
    #[audited(event = "position.changed", id = ID, changes(position, count))]
    fn look(position: &mut Position, count: &mut u32, panics: bool) {
        assert!(!panics);
        let Position { quantity, .. } = position;
        *count += *quantity;
    }
    let (mut position, mut count) = (Position { quantity: 2, ..Position::default() }, 1);
    let ((), event) = caught(|| look(&mut position, &mut count, false));
    assert_eq!(event.data["changes"], json!({"position": {}, "count": {"from": 1, "to": 3}}));
    let (_, event) = caught(|| catch_unwind(AssertUnwindSafe(|| look(&mut position, &mut count, true))));
    assert_eq!(
        (event.outcome, event.data),
        (Outcome::Panicked, json!({"panics": true, "$panic": "assertion failed: !panics"}).into())
    );
}

#[test]
fn a_secret_that_changed_is_told_without_what_it_was() {
    #[audited(event = "key.rotated", id = ID, changes(position, token), plain(token))]
    fn rotate(position: &mut Position, token: &mut u8) {
        position.api_key = "k-18".into();
        *token += 1;
    }
    let mut position = Position { api_key: "k-17".into(), ..Position::default() };
    let ((), event) = caught(|| rotate(&mut position, &mut 1));
    assert_eq!(
        event.data,
        json!({"changes": {"position": {"api_key": "[redacted]"}, "token": "[redacted]"}}),
        "a key that says secret is masked at whatever depth"
    );
}

#[test]
fn the_attribute_decides_which_values_are_captured_beside_the_changes() {
    #[audited(event = "a.b", id = ID, only(count), changes(count))]
    fn both(count: &mut u32, other: u8) {
        *count += u32::from(other);
    }
    #[audited(event = "a.b", id = ID, skip(count), changes(count))]
    fn one(count: &mut u32, other: u8) {
        *count += u32::from(other);
    }
    #[audited(event = "a.b", id = ID, skip_all, changes(count), fields(twice = *count * 2, after = |doubled| doubled.0))]
    fn late(count: &mut u32) -> (u32,) {
        *count += 1;
        (*count * 2,)
    }
    let changes = |from: u32, to: u32| json!({"count": {"from": from, "to": to}});
    assert_eq!(caught(|| both(&mut 1, 2)).1.data, json!({"count": 1, "changes": changes(1, 3)}));
    assert_eq!(caught(|| one(&mut 1, 2)).1.data, json!({"other": 2, "changes": changes(1, 3)}));
    assert_eq!(
        caught(|| late(&mut 1)).1.data,
        json!({"twice": 2, "after": 4, "result": [4], "changes": changes(1, 2)})
    );
}

#[test]
fn a_value_that_cannot_be_compared_is_reported() {
    struct Odd(bool);
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(self.0, "not now");
            serializer.serialize_bool(true)
        }
    }
    #[audited(event = "a.b", id = ID, changes(odd))]
    fn change(odd: &mut Odd) {
        odd.0 = false;
    }
    let ((), event) = caught(|| change(&mut Odd(true)));
    assert_eq!(event.data["changes"]["odd"], json!({"$error": "panicked: not now"}));
}

impl Desk {
    #[audited(event = "desk.changed", id = ID, changes(self.mode, self.book.position))]
    fn change(&mut self, mode: u8) -> u8 {
        self.mode = mode;
        self.book.position.quantity += 1;
        self.mode
    }

    #[audited(event = "desk.changed", id = ID, changes(self.mode, other), skip(label))]
    async fn change_later(&mut self, mode: u8, mut other: &mut Position, label: String) -> Result<usize, Failure> {
        tokio::task::yield_now().await;
        self.mode = mode;
        let nobody = &mut Position::default();
        other.quantity = 1;
        if mode == 0 {
            other = nobody;
            other.quantity = 2;
            Err(Failure::Refused)?;
        }
        Ok(label.len())
    }

    #[audited(event = "desk.changed", id = ID, changes(position), skip_all)]
    fn change_by_future<'a>(position: &'a mut Position) -> impl Future<Output = u32> + 'a {
        async move {
            position.quantity += 1;
            tokio::task::yield_now().await;
            position.quantity
        }
    }

    #[audited(event = "desk.changed", id = ID, changes(self.mode))]
    fn borrowed(&self) -> &u8 {
        &self.mode
    }
}

#[test]
fn fields_of_self_and_parameters_are_compared_in_every_shape() {
    let mut desk = Desk::default();
    assert_eq!(caught(|| desk.change(2)).0, 2);
    let (_, event) = caught(|| desk.change(3));
    let expected = json!({"mode": {"from": 2, "to": 3}, "position": {"quantity": {"from": 1, "to": 2}}});
    assert_eq!(event.data["changes"], expected);
    let mut position = Position::default();
    let (length, event) = caught_later(desk.change_later(4, &mut position, "abc".into()));
    assert_eq!(length.unwrap(), 3);
    let expected = json!({"mode": {"from": 3, "to": 4}, "other": {"quantity": {"from": 0, "to": 1}}});
    assert_eq!(event.data["changes"], expected);
    let (result, event) = caught_later(desk.change_later(0, &mut position, String::new()));
    result.unwrap_err();
    assert_eq!(event.data["changes"], json!({"mode": {"from": 4, "to": 0}, "other": {}}));
    let (quantity, event) = caught_later(async { Desk::change_by_future(&mut position).await });
    assert_eq!(
        (quantity, &event.data["changes"]),
        (2, &json!({"position": {"quantity": {"from": 1, "to": 2}}}).into())
    );
    let (mode, event) = caught(|| *desk.borrowed());
    assert_eq!((mode, &event.data["changes"]), (0, &json!({"mode": {}}).into()));
    let probe = Probe::new();
    pollster::block_on(probe.scope(desk.set(9))).unwrap();
    let set = &probe.events()[1];
    assert_eq!(set.data, json!({"to": 9, "result": 0, "changes": {"mode": {"from": 0, "to": 9}}}));
}

#[test]
fn a_generic_function_compares_too() {
    #[audited(event = "a.b", id = ID, changes(value), infallible)]
    fn put<T: Serialize + Clone>(value: &mut T, by: T) -> T {
        *value = by.clone();
        by
    }
    let (_, event) = caught(|| put(&mut "a", "b"));
    assert_eq!(event.data, json!({"by": "b", "result": "b", "changes": {"value": {"from": "a", "to": "b"}}}));
}

#[tokio::test]
async fn futures_with_guarantees_can_be_sent() {
    #[audited(event = "a.b", id = ID, changes(value), required)]
    async fn change(value: &mut u8) -> Result<std::cell::Cell<u8>, Failure> {
        *value += 1;
        tokio::task::yield_now().await;
        Ok(std::cell::Cell::new(*value))
    }
    let probe = Probe::new();
    let context = Context::new().actor("ann");
    tokio::spawn(probe.scope(context.scope(async { change(&mut 1).await.map(|value| value.get()) })))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(probe.events()[1].actor, "ann");
}
